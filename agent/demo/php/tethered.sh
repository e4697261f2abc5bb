# Run a command until it ends by itself or whoever started us is gone: sh tethered.sh COMMAND...
#
# Standard input is the tether, a pipe that nobody writes to. It closes when our parent lets go of it or
# dies, even by SIGKILL; then the whole process group is asked to end, and after a while made to.

exec 3<&0 </dev/null
trap '' INT # only the command shall heed it, which sets a handler of its own

"$@" 3<&- &
command=$!
{
	cat <&3 >/dev/null
	kill -INT -$$
	tries=30
	while [ $tries -gt 0 ] && kill -0 $command; do
		sleep 0.1
		tries=$((tries - 1))
	done
	kill -KILL -$$
} >/dev/null 2>&1 &
wait "$command"
