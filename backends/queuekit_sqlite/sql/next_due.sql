SELECT min(scheduled_at) FROM jobs WHERE code = 3
