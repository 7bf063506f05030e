import Bluetooth
import Catalogue
import Journal
import Protocols
import Vitals

/// The devices that are reached by radio, as the journal knows them.
struct RadioDevices: Sendable {
    var byAddress: [DeviceAddress: DeviceRecord] = [:]
    var known: [KnownDevice] = []
    /// Their bond is lost: not connected until they were paired again.
    var bondsLost: Set<DeviceAddress> = []

    static func read(_ tx: Transaction, catalogue: DeviceCatalogue) throws(JournalError) -> RadioDevices {
        var devices = RadioDevices()
        let lost = Set(try tx.conditions().filter { $0.code == .bondLost }.map(\.subject))
        for record in try tx.devices() where record.state != .returned {
            guard let address = record.bluetoothAddress, let model = catalogue[record.model] else { continue }
            devices.byAddress[address] = record
            let bond = try tx.bond(device: record.id)
            devices.known.append(KnownDevice(address, model: model, bond: bond))
            if lost.contains(record.conditionSubject) { devices.bondsLost.insert(address) }
        }
        return devices
    }
}

extension DeviceRecord {
    var bluetoothAddress: DeviceAddress? { bluetoothAddressText.flatMap { DeviceAddress($0) } }
}

extension KnownDevice {
    init(_ address: DeviceAddress, model: Model, bond: BondRecord?) {
        let timing = model.connection
        self.init(
            address: address, keys: bond?.keys ?? BondKeys(), adapter: bond?.adapter,
            demands: model.allowsUnencryptedLink ? .none : .encrypted,
            connection: address.kind == .classic
                ? nil
                : ConnectionParameters(
                    address: address, minimumInterval: timing.intervalMinimum, maximumInterval: timing.intervalMaximum,
                    latency: timing.latency, timeout: timing.supervisionTimeout),
            cooldown: .seconds(model.session.cooldownSeconds))
    }
}

extension BondRecord {
    /// A record that is no key is left out: one would make the kernel refuse a whole list.
    var keys: BondKeys {
        BondKeys(
            longTermKeys: longTermKeys.compactMap { try? LongTermKey(decoding: $0) },
            identityResolvingKey: identityResolvingKey.flatMap { try? IdentityResolvingKey(decoding: $0) },
            linkKey: linkKey.flatMap { try? LinkKey(decoding: $0) })
    }

    init(device: Int64, adapter: String, address: DeviceAddress, keys: BondKeys, at: Instant) {
        self.init(
            device: device, adapter: adapter, address: address.description, longTermKeys: keys.longTermKeys.map(\.bytes),
            identityResolvingKey: keys.identityResolvingKey?.bytes, linkKey: keys.linkKey?.bytes, security: keys.security,
            bonded: at)
    }
}
