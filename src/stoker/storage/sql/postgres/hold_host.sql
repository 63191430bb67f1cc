-- Whether a host is dead, which stays so until this transaction ends.
SELECT dead FROM hosts WHERE id = ? FOR SHARE
