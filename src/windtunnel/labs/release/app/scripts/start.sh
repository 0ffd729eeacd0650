#!/bin/bash
set -e
systemctl daemon-reload
systemctl enable webapp
systemctl restart webapp
