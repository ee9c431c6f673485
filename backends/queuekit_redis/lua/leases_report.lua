-- Keeps what running jobs report.
-- ARGV: id, address, progress ('': unchanged), log lines as JSON texts with a separator between ('': none); for each report
-- uses: notes
-- keys: running progress

pass_when_full('HDEL', key.progress)

for i = SETTINGS + 1, #ARGV, 4 do
  local id, address, progress, lines = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('HGET', key.running, id) == address then
    if progress ~= '' then notes.progress(id, progress) end
    if lines ~= '' then notes.log(id, lines) end
  end
end
return 1
