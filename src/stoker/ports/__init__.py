"""The protocols between the parts: what each needs of the others, and no more."""
