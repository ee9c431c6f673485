-- Keeps what running jobs report.
-- ARGV: id, ref, progress ('': unchanged), log lines as JSON texts with a separator between ('': none); for each report
-- uses: notes
-- keys: running progress logs

pass_when_full('HDEL', key.progress)

for i = SETTINGS + 1, #ARGV, 4 do
  local id, ref, progress, lines = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('HGET', key.running, id) == ref then
    if progress ~= '' then redis.call('HSET', key.progress, id, progress) end
    if lines ~= '' then append(key.logs, id, {lines}, LOGS_KEPT) end
  end
end
return 1
