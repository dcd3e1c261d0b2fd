-- foreign: tells a key that somebody else has written to from an error of Redis itself; first in every script.

-- foreign says whether a command (redis.pcall) failed over what its key holds: another type, a lane without its group, ids
-- that have run out or are none. It ends the script with any other error, such as that Redis may not write (MISCONF,
-- READONLY, NOREPLICAS, OOM) or that the user may not ask (NOPERM): that tells nothing about the key, and nothing may be
-- decided by it.
local function foreign(got)
  if type(got) ~= 'table' or not got.err then return false end
  local word = string.match(got.err, '^%u+')
  -- Neither says NOPERM in a script: Redis 7.0 (script.c, scriptVerifyACL), and Valkey and Redis from 7.2 on.
  local denied = string.find(got.err, 'ERR The user executing the script', 1, true) == 1 or
    string.find(got.err, 'ERR ACL failure in script', 1, true) == 1
  if denied or word ~= 'WRONGTYPE' and word ~= 'NOGROUP' and word ~= 'ERR' then error(got) end
  return true
end
