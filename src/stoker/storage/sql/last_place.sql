-- The last place among all that wait or hold.
SELECT max(place) FROM limit_leases
