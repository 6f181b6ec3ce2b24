# Stands in for OpenWrt's rules.mk: OUT is where everything happens.
BUILD_DIR := $(OUT)/build
INCLUDE_DIR := $(TOPDIR)
TARGET_CC ?= gcc
TARGET_CFLAGS ?= -Os
TARGET_CPPFLAGS :=
TARGET_LDFLAGS :=
FPIC := -fPIC
CP := cp -fpR
INSTALL_DIR := install -d -m0755
INSTALL_BIN := install -m0755
INSTALL_DATA := install -m0644
INSTALL_CONF := install -m0600
PKG_JOBS := -j2
MAKE_FLAGS = CC="$(TARGET_CC)"
