#!/bin/sh
# Run by mmdebstrap with the new root as its argument, before the stock image is packed.
set -eu
root=$1

# Amazon Linux's users. nginx and apache are other names of www-data, so that "owner: nginx" in an appspec and a Debian
# server's worker are the same identity.
chroot "$root" groupadd -g 1000 ec2-user
chroot "$root" useradd -m -u 1000 -g 1000 -s /bin/bash -c "EC2 Default User" ec2-user
chroot "$root" useradd -m -U -u 1001 -s /bin/bash ssm-user
for name in nginx apache; do
    chroot "$root" groupadd -o -g 33 "$name"
    chroot "$root" useradd -M -o -u 33 -g 33 -d /var/www -s /usr/sbin/nologin "$name"
done
chroot "$root" passwd -l root >/dev/null

# Amazon Linux's nginx serves /usr/share/nginx/html, its httpd and Debian's servers /var/www/html, and hook scripts copy to
# either. One directory with two names makes both right. It starts empty: CodeDeploy refuses to overwrite a file that it did
# not put there, and Amazon Linux has no index.html in /var/www/html.
rm -rf "$root/usr/share/nginx/html" "$root"/var/www/html/*
ln -s /var/www/html "$root/usr/share/nginx/html"

# As on Amazon Linux, the default site has no default_server: a conf.d file that listens on 80 takes over.
cat > "$root/etc/nginx/sites-available/default" <<'SITE'
server {
    listen 80;
    server_name _;
    root /usr/share/nginx/html;
    index index.html index.htm;
}
SITE

# Installing a program does not enable it (Amazon Linux's preset); Debian's does.
rm -rf "$root"/etc/systemd/system/*.wants "$root"/var/lib/systemd/deb-systemd-helper-enabled

# systemctl, journalctl and PID 1 are the guest layer's. Packages that only want a part of systemd get that part alone.
cat > "$root/etc/apt/preferences.d/windtunnel" <<'PIN'
Package: systemd systemd-sysv
Pin: release *
Pin-Priority: -1
PIN

# Manual pages are left out, but packages put links to theirs (Java's alternatives).
for section in 1 2 3 4 5 6 7 8; do
    mkdir -p "$root/usr/share/man/man$section"
done

# An instance is its user's: pip may install into the system, as it may on Amazon Linux.
rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root"/var/log/*.log "$root"/var/log/apt/*
: > "$root/etc/machine-id"
