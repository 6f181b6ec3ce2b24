# Stands in for OpenWrt's package.mk: prepare, compile, and for each package install-NAME into OUT/NAME.
PKG_BUILD_DIR ?= $(BUILD_DIR)/$(PKG_NAME)-$(PKG_VERSION)

Build/Compile/Default = +$(MAKE) $(PKG_JOBS) -C $(PKG_BUILD_DIR) $(MAKE_FLAGS) $(1)

prepare:
	$(Build/Prepare)
compile:
	$(Build/Compile)

# What a package has to say about itself.
define BuildPackage
$(eval TITLE:=)$(eval DEPENDS:=)$(eval SECTION:=)$(eval CATEGORY:=)
$(eval $(Package/$(1)))
$(foreach word,TITLE DEPENDS SECTION CATEGORY,$(if $($(word)),,$(error Package/$(1): no $(word))))
$(foreach part,install description,$(if $(Package/$(1)/$(part)),,$(error Package/$(1): no $(part))))
packages += $(1):$(subst $(empty) ,$(empty),$(DEPENDS))
install-$(1):
	$(call Package/$(1)/install,$(OUT)/$(1))
endef

.DEFAULT_GOAL := prepare
list:
	$(info $(packages))
	$(info $(Package/coap-guardd/conffiles))
	@:
