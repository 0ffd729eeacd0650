"""What runs inside sandboxes: an instance's init and service manager, systemctl, dnf, cloud-init, agents, build runner.

Why it exists: an instance of the stock image must behave like the machine that hooks and user data were written for.

The invariant it keeps: these modules run on the image's own Python with nothing but its standard library (the image has
python3-yaml too, for programs started without `-S`). Every file here is put into the image's guest layer at /opt/windtunnel/<name>,
where `from windtunnel.guest.x import y` works as it does here; `rootfs/` holds files that go to the same path in the image.
Programs are started by small launchers in `rootfs/usr/bin`, or as `/usr/bin/python3 /opt/windtunnel/<name>.py`.
"""
