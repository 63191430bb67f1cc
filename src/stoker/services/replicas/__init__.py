"""Several servers of one store: who is there, who leads, what each hears of the others."""
