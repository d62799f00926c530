#!/bin/busybox sh
# Moves everything from the initial file system, which pivot_root cannot leave, to a tmpfs, and goes on there.
busybox=/bin/busybox
$busybox mkdir /root
$busybox mount -t tmpfs -o mode=755,size=90% tmpfs /root
for folder in bin modules programs tests stage; do
	$busybox cp -a /$folder /root/
	# The shell itself runs from bin, so that goes last, with the switch.
	[ $folder = bin ] || $busybox rm -rf /$folder
done
exec $busybox switch_root /root /stage
