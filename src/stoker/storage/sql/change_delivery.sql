-- Store what has become of a delivery that is not over; one that was forgotten stays so.
UPDATE outbox SET state = :state, due = :due, claimed_until = :claimed_until, run_id = :run_id,
                  ended = :ended, record = :record
WHERE id = :id AND state = 'pending'
