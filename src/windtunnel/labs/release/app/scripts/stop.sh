#!/bin/bash
systemctl stop webapp || true
