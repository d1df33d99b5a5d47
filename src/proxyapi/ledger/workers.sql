-- read_live_workers --
SELECT id, name, @now_ms - seen_at FROM worker WHERE died_at IS NULL AND seen_at >= @now_ms - ? ORDER BY id

-- read_workers_of_any_version --
SELECT id, name, @now_ms - seen_at FROM worker WHERE seen_at >= @now_ms - ? ORDER BY id

-- lock_accounts --
SELECT id FROM account ORDER BY id @for_update

-- still_here --
SELECT 1
