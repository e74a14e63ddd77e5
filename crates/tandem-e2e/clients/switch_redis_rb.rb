# redis-rb through Sentinel: ruby switch_redis_rb.rb TARGETS PAIR NAME.
# Writes until standard input ends; one line per write: begin, end (microseconds since 1970), what.
require "redis"

targets, pair, name = ARGV
sentinels = targets.split(",").map do |target|
  host, port = target.split(":")
  { host: host, port: port.to_i }
end
# What docs/clients.md recommends: many short tries.
redis = Redis.new(
  url: "redis://#{pair}", sentinels: sentinels, role: :master, id: name,
  connect_timeout: 0.5, read_timeout: 2, write_timeout: 2,
  reconnect_attempts: 100, reconnect_delay: 0.02, reconnect_delay_max: 0.05
)
over = false
Thread.new { $stdin.read; over = true }

now = -> { Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond) }
write = lambda do |call|
  begun = now.call
  begin
    what = call.call
  rescue StandardError => e
    what = "err #{e.class} #{e.message}"
  end
  puts "#{begun} #{now.call} #{what.tr("\n", " ")}"
  $stdout.flush
end

number = 0
until over
  number += 1
  write.call(-> { "incr #{redis.incr(name)}" })
  write.call(-> { redis.set("#{name}:#{number}", number); "set #{number}" })
  sleep 0.025
end
