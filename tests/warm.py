"""Imported by the fork server of `killing`: what it has loaded, each process that it forks need not."""

from crossdock.rowhash import warm_up

warm_up()
