"""The introspection XML of each broker."""

from __future__ import annotations

from linuxbroker.resources import interface_xml
from linuxbroker.wire.names import BROKER_INTERFACE, BROKER_OBJECT_PATH

from .persona import BusBehavior, Introspection

_DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
_METHOD = """    <method name="{method}">
      <arg name="protocol_version" type="s" direction="in"/>
      <arg name="correlation_id" type="s" direction="in"/>
      <arg name="request_json" type="s" direction="in"/>
      <arg name="result" type="s" direction="out"/>
    </method>
"""
_INTROSPECTABLE = """  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect">
      <arg name="xml_data" type="s" direction="out"/>
    </method>
  </interface>
"""
_PEER = """  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping">
    </method>
  </interface>
"""
_PROPERTIES = """  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="out"/>
    </method>
    <method name="GetAll">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="properties" type="a{sv}" direction="out"/>
    </method>
    <method name="Set">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="in"/>
    </method>
    <signal name="PropertiesChanged">
      <arg name="interface_name" type="s"/>
      <arg name="changed_properties" type="a{sv}"/>
      <arg name="invalidated_properties" type="as"/>
    </signal>
  </interface>
"""
_PROPERTY = """    <property name="{name}" type="s" access="{access}">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
    </property>
"""
_LOG_CONTROL = (
    '  <interface name="org.freedesktop.LogControl1">\n'
    + _PROPERTY.format(name="LogLevel", access="readwrite")
    + _PROPERTY.format(name="LogTarget", access="readwrite")
    + _PROPERTY.format(name="SyslogIdentifier", access="read")
    + "  </interface>\n"
)


def introspection_xml(bus: BusBehavior, path: str, methods: frozenset[str]) -> str | None:
    """Return the reply of ``Introspect`` (PROTOCOL.md, TR-12 and DF-01).

    Args:
        bus: the persona's behavior on the bus.
        path: the path of the object.
        methods: the broker's methods.

    Returns:
        The XML; None if there is no such object.
    """
    if bus.introspection is Introspection.CROSSROADS:
        return _crossroads_xml(bus, path, methods)
    if path != BROKER_OBJECT_PATH:
        return None
    return f"{_DOCTYPE}<node>\n</node>\n" if bus.introspection is Introspection.EMPTY_NODE else interface_xml()


def _crossroads_xml(bus: BusBehavior, path: str, methods: frozenset[str]) -> str | None:
    """Return the XML in the form of Himmelblau's D-Bus library (recorded from its crates)."""
    if path == "/":
        child_nodes = "".join(f'  <node name="{child[1:]}"/>\n' for child in sorted((BROKER_OBJECT_PATH, *bus.paths)))
        content = _INTROSPECTABLE + child_nodes
    elif path == BROKER_OBJECT_PATH:
        method_xml = "".join(_METHOD.format(method=method) for method in sorted(methods))
        content = f'  <interface name="{BROKER_INTERFACE}">\n{method_xml}  </interface>\n' + _INTROSPECTABLE + _PEER
    elif path in bus.paths:
        content = _INTROSPECTABLE + _PROPERTIES + _LOG_CONTROL
    else:
        return None
    return f'{_DOCTYPE}<node name="{path}">\n{content}</node>'
