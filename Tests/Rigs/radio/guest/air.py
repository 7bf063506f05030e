"""The virtual radio: Bumble's link layer, with what a real one does and Bumble 0.0.236's leaves out.

The hub's controller is the kernel's hci0 (through /dev/vhci); every peripheral has a controller of its own, all in this process. Put right
here, because a hub must meet it and because without it a failed connect spoils the next one:

- a peripheral's data comes from the address that the link was made with (Bumble: always from the random address);
- HCI Reset ends links, scanning and a pending connect (Bumble: does nothing);
- LE Create Connection Cancel ends the pending connect and says so (Bumble: every later connect is "command disallowed");
- a connect succeeds only if the advertiser is still there;
- a host that unmasked LE Enhanced Connection Complete gets that event (Bumble: the plain one, which the kernel, on a controller with
  LL privacy, does not take for an answer; it cancels the connect after 4 s, the link being up, and every command waits that long);
- the scan response is the scan response, and only an active scan gets it;
- a peer that goes away without a word is noticed after the supervision timeout, as reason 0x08.

Source: Bluetooth Core 5.4, volume 4, part E, sections 7.3.2, 7.7.5, 7.7.65.10, 7.8.1, 7.8.12 to 7.8.13; volume 6, part B, section 4.5.2.
"""

import asyncio
import errno
import logging
import os
import struct
import time

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

log = logging.getLogger("air")
#: How often a controller with its duplicate filter on reports the same advertiser again. Controllers differ; none is silent for ever.
DUPLICATE_SECONDS = 1.0
#: Bumble reports this signal strength; so does this module.
RSSI = -50


class Air(LocalLink):
    def __init__(self):
        super().__init__()
        #: Controllers whose radio reaches nobody: they neither hear nor are heard.
        self.silent = set()

    def controller_of(self, address):
        return next((one for one in self.controllers if one not in self.silent and address in (one.random_address, one.public_address)), None)

    def find_le_controller(self, address):
        """The controller that uses an address, on a link or else at all. A silent one is not found."""
        for one in self.controllers:
            if one not in self.silent and any(connection.self_address == address for connection in one.le_connections.values()):
                return one
        return self.controller_of(address)

    def send_acl_data(self, sender_controller, destination_address, transport, data):
        if transport != PhysicalTransport.LE:
            super().send_acl_data(sender_controller, destination_address, transport, data)
            return
        if sender_controller in self.silent:
            return
        connection = sender_controller.le_connections.get(destination_address)
        receiver = self.find_le_controller(destination_address)
        if connection is not None and receiver is not None:
            asyncio.get_running_loop().call_soon(receiver.on_link_acl_data, connection.self_address, transport, data)

    def send_advertising_pdu(self, sender_controller, packet):
        if sender_controller in self.silent:
            return
        loop = asyncio.get_running_loop()
        if isinstance(packet, ll.ConnectInd):
            receiver = self.controller_of(packet.advertiser_address)
            if receiver is not None:
                loop.call_soon(receiver.on_ll_advertising_pdu, packet)
            return
        for one in self.controllers:
            # Whoever does not listen is spared: there are many advertisements, and a virtual machine is slow.
            if one is not sender_controller and one not in self.silent and (one.le_scan_enable or one.pending_le_connection):
                loop.call_soon(one.on_ll_advertising_pdu, packet)

    def send_ll_control_pdu(self, sender_address, receiver_address, packet):
        sender = self.find_le_controller(sender_address)
        receiver = self.find_le_controller(receiver_address)
        if sender is not None and receiver is not None:
            asyncio.get_running_loop().call_soon(receiver.on_ll_control_pdu, sender_address, packet)


class KernelPort:
    """/dev/vhci, whose other end is a controller of the kernel's. One read or write is one packet.

    Bumble's own transport goes through asyncio's pipes, which close at the first error; and the kernel answers ENXIO to whatever a controller
    says while the adapter is down. The adapter would be gone for good after an advertisement in the wrong moment.
    """

    VENDOR = 0xFF
    #: H4 (1002) in the file format of btsnoop, which Wireshark opens; its clock starts in the year 0.
    HEADER, YEAR_2000 = b"btsnoop\0" + struct.pack(">II", 1, 1002), 0x00E03AB44A676000

    def __init__(self, capture):
        """`capture` is a file for everything that kernel and controller say to each other."""
        self.capture = open(capture, "wb", buffering=0)
        self.capture.write(self.HEADER)
        self.file = os.open("/dev/vhci", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.controller = None
        # A dual-mode or LE controller (0), not an AMP one.
        os.write(self.file, bytes([self.VENDOR, 0]))
        asyncio.get_running_loop().add_reader(self.file, self.read)

    def set_packet_sink(self, controller):
        self.controller = controller

    def read(self):
        try:
            packet = os.read(self.file, 4096)
        except BlockingIOError:
            return
        # The first one tells the controller's number.
        if packet and packet[0] != self.VENDOR and self.controller is not None:
            self.note(packet, received=False)
            self.controller.on_packet(packet)

    def note(self, packet, received):
        # Bit 0: received; bit 1: a command or an event.
        flags = received | (packet[0] in (1, 4)) << 1
        at = self.YEAR_2000 + int((time.time() - 946_684_800) * 1_000_000)
        self.capture.write(struct.pack(">IIIIQ", len(packet), len(packet), flags, 0, at) + packet)

    def on_packet(self, packet):
        self.note(packet, received=True)
        try:
            os.write(self.file, packet)
        except OSError as error:
            if error.errno != errno.ENXIO:
                log.warning("the kernel refused %s: %s", packet[:8].hex(), error)

    def close(self):
        asyncio.get_running_loop().remove_reader(self.file)
        os.close(self.file)
        self.capture.close()


class RadioController(Controller):
    """What hub and peripheral have in common."""

    def __init__(self, name, **arguments):
        super().__init__(name, **arguments)
        self.le_scan_type = 0
        self.scans_extended = False
        self.reported = {}

    def send_hci_packet(self, packet):
        # Bit 9 of the LE event mask (7.8.1).
        if isinstance(packet, hci.HCI_LE_Connection_Complete_Event) and self.le_event_mask & 1 << 9:
            packet = hci.HCI_LE_Enhanced_Connection_Complete_Event(
                local_resolvable_private_address=hci.Address.ANY, peer_resolvable_private_address=hci.Address.ANY,
                **{name: getattr(packet, name) for name in (
                    "status", "connection_handle", "role", "peer_address_type", "peer_address", "connection_interval", "peripheral_latency",
                    "supervision_timeout", "central_clock_accuracy")})
        super().send_hci_packet(packet)

    def lose(self, connection, after=0.0):
        """Ends a link on this side only, as the supervision timeout does."""

        def end():
            if self.le_connections.get(connection.peer_address) is connection:
                self.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

        asyncio.get_running_loop().call_later(after, end)

    def supervision_seconds(self, connection):
        return getattr(connection, "supervision_seconds", 2.0)

    def vanish(self, tell_host=True):
        """Ends every link without a word to the peer, which notices after the supervision timeout."""
        for connection in list(self.le_connections.values()):
            peer = next((one for one in self.link.controllers if one is not self and connection.self_address in one.le_connections), None)
            if peer is not None:
                theirs = peer.le_connections[connection.self_address]
                peer.lose(theirs, self.supervision_seconds(connection))
            if tell_host:
                self.lose(connection)
            else:
                del self.le_connections[connection.peer_address]

    def on_le_disconnected(self, connection, reason):
        # Both sides may hang up in the same moment.
        if self.le_connections.get(connection.peer_address) is connection:
            super().on_le_disconnected(connection, reason)

    def on_hci_disconnect_command(self, command):
        if self.find_connection_by_handle(command.connection_handle) is None:
            self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
            return
        super().on_hci_disconnect_command(command)

    def on_hci_reset_command(self, _command):
        self.vanish(tell_host=False)
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.le_legacy_advertiser.stop()
        for advertising in self.advertising_sets.values():
            advertising.stop()
        self.advertising_sets.clear()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_create_connection_cancel_command(self, _command):
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        failed = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, connection_handle=0, role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type, peer_address=pending.peer_address, connection_interval=0,
            peripheral_latency=0, supervision_timeout=0, central_clock_accuracy=0)
        # The command is completed first.
        asyncio.get_running_loop().call_soon(self.send_hci_packet, failed)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_set_scan_enable_command(self, command):
        self.reported.clear()
        self.scans_extended = False
        return super().on_hci_le_set_scan_enable_command(command)

    def on_hci_le_set_extended_scan_enable_command(self, command):
        self.reported.clear()
        self.scans_extended = True
        return super().on_hci_le_set_extended_scan_enable_command(command)

    def on_hci_le_set_extended_scan_parameters_command(self, command):
        self.le_scan_type = max(command.scan_types, default=0)
        return super().on_hci_le_set_extended_scan_parameters_command(command)

    def create_le_connection(self, peer_address):
        advertiser = self.link.controller_of(peer_address)
        if advertiser is None or not advertiser.le_legacy_advertiser.enabled:
            return
        pending = self.pending_le_connection
        super().create_le_connection(peer_address)
        if self.pending_le_connection is None:
            timeouts = getattr(pending, "supervision_timeouts", None)
            timeout = timeouts[0] if timeouts else pending.supervision_timeout
            # In units of 10 ms (7.8.12).
            self.le_connections[peer_address].supervision_seconds = timeout / 100

    def on_le_connect_ind(self, packet):
        super().on_le_connect_ind(packet)
        connection = self.le_connections.get(packet.initiator_address)
        if connection is not None:
            connection.supervision_seconds = packet.timeout / 100

    def on_advertising_pdu(self, pdu):
        if self.le_scan_enable:
            now = time.monotonic()
            key = (bytes(pdu.advertiser_address), pdu.advertiser_address.address_type)
            if not self.filter_duplicates or now - self.reported.get(key, float("-inf")) >= DUPLICATE_SECONDS:
                self.reported[key] = now
                self.report(pdu)
        pending = self.pending_le_connection
        if pending is not None and pending.peer_address == pdu.advertiser_address:
            self.create_le_connection(pdu.advertiser_address)

    def report(self, pdu):
        """What the host hears: the advertisement and, in an active scan, the answer to a scan request."""
        self.send_report(pdu.advertiser_address, pdu.data, response=False)
        if self.le_scan_type == 1:
            advertiser = self.link.controller_of(pdu.advertiser_address)
            if advertiser is not None:
                self.send_report(pdu.advertiser_address, advertiser.le_legacy_advertiser.scan_response_data, response=True)

    def send_report(self, address, data, response):
        if self.scans_extended:
            kind = hci.HCI_LE_Extended_Advertising_Report_Event
            # Legacy PDUs (bit 4): connectable and scannable ADV_IND (0x13), SCAN_RSP to an ADV_IND (0x1B); 7.7.65.13, table of event types.
            self.send_hci_packet(kind([kind.Report(
                event_type=0x1B if response else 0x13, address_type=address.address_type, address=address, primary_phy=hci.Phy.LE_1M,
                secondary_phy=0, advertising_sid=0xFF, tx_power=127, rssi=RSSI, periodic_advertising_interval=0, direct_address_type=0,
                direct_address=hci.Address.ANY, data=bytes(data))]))
        else:
            kind = hci.HCI_LE_Advertising_Report_Event
            self.send_hci_packet(kind([kind.Report(
                event_type=kind.EventType.SCAN_RSP if response else kind.EventType.ADV_IND, address_type=address.address_type, address=address,
                data=bytes(data), rssi=RSSI)]))


class HubController(RadioController):
    """hci0 of the kernel."""


class PeripheralController(RadioController):
    """A small device's controller: legacy advertising, one link."""

    def __init__(self, name, **arguments):
        super().__init__(name, **arguments)
        self.le_features &= ~(hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING)
