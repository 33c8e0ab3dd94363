#!/bin/sh
printf installed > /installed
