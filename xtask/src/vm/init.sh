#!/bin/busybox sh
# Moves everything from the initial file system, which pivot_root cannot leave, to a tmpfs, and goes on there.
busybox=/bin/busybox
$busybox mkdir /new
$busybox mount -t tmpfs -o mode=755,size=90% tmpfs /new
for folder in lib lib64 bin modules programs tests stage; do
	[ -e /$folder ] || continue
	$busybox cp -a /$folder /new/
	# The shell itself runs from bin, so that goes last, with the switch.
	[ $folder = bin ] || $busybox rm -rf /$folder
done
exec $busybox switch_root /new /stage
