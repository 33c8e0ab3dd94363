# SPDX-License-Identifier: GPL-2.0-or-later
"""Our plugins in a stock Koji: hub and kojid from a source tree, as they are.

    make check-stock KOJI=/path/to/koji        # a checkout or an unpacked release of Koji: 1.34 and newer

    make check-stock KOJI=/path/to/koji PACKAGES=build/rpm/RPMS/noarch    # our RPM or Debian packages, unpacked

What runs, all of it on loopback and below temporary directories:

- PostgreSQL with the schema of the tree, in a separate cluster, on a unix socket;
- the hub's WSGI application of the tree behind cheroot, over TLS with client certificates, its ``PluginPath`` the
  tree's directory of plugins with ours appended;
- the tree's ``builder/kojid`` in the foreground, unmodified. It reads ``/etc/kojid`` and ``/etc/mock/koji``: it is
  started in a separate mount namespace, where a layer that vanishes with it lies over ``/etc``;
- registry, dist-git and certificates of the box (``fedpkg_container/box``).

Accounts, channel, tags and target are made by the ``koji`` commands of docs/howto/site.md, which are read from there.

It needs root, and packages that nothing else here needs. They are looked for, and named where they are missing:
Debian's postgresql and python3-librepo, Fedora's postgresql-server and python3-librepo. Koji's other libraries, and
what a hub and a builder need for our plugins, are in ``requirements.txt``, in a separate virtual environment.

It differs from a production Koji: ``RunInterval = 0`` and ``sleeptime = 1`` (builds start at once), kojid sees
64 processors (it takes no task while the load is above four times their number), no notifications,
cheroot in the place of httpd, certificates in the place of Kerberos, and mock is not there (nothing builds RPMs).
"""
