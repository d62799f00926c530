# Prepares the machine as a distribution does. CGROUPS is set above; calls of `run` follow below.
/bin/busybox --install -s /bin
# A stripped program has no names for a backtrace, and looking for them is slow here.
export RUST_BACKTRACE=0
export PATH=/bin HOME=/ TESTBED_PROGRAMS=/programs TMPDIR=/tmp
mkdir -p /proc /sys /dev /tmp /run /etc /var/log
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
mount -t securityfs securityfs /sys/kernel/security
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
if [ $CGROUPS = v2 ]; then
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
	for controller in cpu cpuacct memory pids devices freezer blkio; do
		mkdir /sys/fs/cgroup/$controller
		mount -t cgroup -o $controller cgroup /sys/fs/cgroup/$controller
	done
	mkdir /sys/fs/cgroup/systemd
	mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
ip link set lo up
for module in /modules/*.ko; do
	insmod $module
done
echo "root:x:0:0:root:/:/bin/sh" > /etc/passwd

# run NAME SECONDS [FILTER]
run() {
	echo "@@podwarden begin $1"
	timeout -s KILL $2 /tests/$1 --test-threads=1 --include-ignored $3
	echo "@@podwarden end $1 $?"
}
