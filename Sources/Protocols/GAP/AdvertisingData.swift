/// What a device says of itself before anybody connects: advertising data, scan response, or BR/EDR's extended inquiry response.
///
/// A sequence of `length | type | data (length - 1)`; a length of zero ends it early. Anybody on the air can send this: parsing
/// is total, keeps what can be read and marks the rest with ``isMalformed``.
///
/// Source: Core Vol 3 Part C 11; Core Specification Supplement, Part A; types from the Assigned Numbers 2.3.
public struct AdvertisingData: Hashable, Sendable {
    public var flags: Flags?
    /// Services that the device offers, of all widths, in the order sent, each once.
    public var services: [BluetoothUUID] = []
    /// Services that the device looks for in others.
    public var solicitedServices: [BluetoothUUID] = []
    /// The complete name if both came. As sent: it may hold anything.
    public var localName: String?
    /// Whether it is the whole name, not a shortened one.
    public var isLocalNameComplete = false
    /// The category of the Assigned Numbers 2.6, such as 0x0381 for a blood-pressure monitor for the arm.
    public var appearance: UInt16?
    /// The level at the device's antenna in dBm.
    public var txPower: Int8?
    public var manufacturerData: [ManufacturerData] = []
    public var serviceData: [ServiceData] = []
    /// BR/EDR: 24 bits of service and device class (Assigned Numbers 2.8).
    public var classOfDevice: UInt32?
    public var deviceID: DeviceID?
    /// Whether something could not be read: a length beyond the end, a field of a wrong length.
    public var isMalformed = false

    public init() {}

    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// For a limited time, as after a button.
        public static let limitedDiscoverable = Flags(rawValue: 1 << 0)
        public static let generalDiscoverable = Flags(rawValue: 1 << 1)
        public static let classicNotSupported = Flags(rawValue: 1 << 2)
        public static let simultaneousController = Flags(rawValue: 1 << 3)
    }

    /// `company identifier (2) | data`
    public struct ManufacturerData: Hashable, Sendable {
        public var companyID: UInt16
        public var bytes: [UInt8]
        public init(companyID: UInt16, bytes: [UInt8]) {
            self.companyID = companyID
            self.bytes = bytes
        }
    }

    /// `service UUID (2, 4 or 16) | data`
    public struct ServiceData: Hashable, Sendable {
        public var service: BluetoothUUID
        public var bytes: [UInt8]
        public init(service: BluetoothUUID, bytes: [UInt8]) {
            self.service = service
            self.bytes = bytes
        }
    }

    /// `vendor id source (2) | vendor id (2) | product id (2) | version (2)`; source 1 is the Bluetooth SIG, 2 the USB
    /// Implementers Forum (Device Identification Profile 1.3, section 6).
    public struct DeviceID: Hashable, Sendable {
        public var vendorSource: UInt16
        public var vendor: UInt16
        public var product: UInt16
        public var version: UInt16
        public init(vendorSource: UInt16, vendor: UInt16, product: UInt16, version: UInt16) {
            self.vendorSource = vendorSource
            self.vendor = vendor
            self.product = product
            self.version = version
        }
    }

    /// Whether the device asks to be found, as in its pairing mode.
    public var isDiscoverable: Bool { flags.map { !$0.isDisjoint(with: [.limitedDiscoverable, .generalDiscoverable]) } ?? false }
}

// MARK: Parsing

extension AdvertisingData {
    public init(parsing bytes: [UInt8]) {
        self.init()
        var rest = bytes[...]
        while let length = rest.popFirst(), length > 0 {
            guard length <= rest.count, let type = rest.first else {
                rest = []
                isMalformed = true
                break
            }
            take(type, Array(rest.prefix(Int(length)).dropFirst()))
            rest = rest.dropFirst(Int(length))
        }
        // Behind the early end there is padding and nothing else.
        if rest.contains(where: { $0 != 0 }) { isMalformed = true }
        services = Self.eachOnce(services)
        solicitedServices = Self.eachOnce(solicitedServices)
    }

    /// By a set: a peer that sends thousands would have a search for each take a second of ours.
    private static func eachOnce(_ uuids: [BluetoothUUID]) -> [BluetoothUUID] {
        var seen: Set<BluetoothUUID> = []
        return uuids.filter { seen.insert($0).inserted }
    }

    private mutating func take(_ type: UInt8, _ data: [UInt8]) {
        switch type {
        case 0x01:
            // More octets may follow in later versions; none at all says that no bit is set.
            flags = Flags(rawValue: data.first ?? 0)
        case 0x02, 0x03: services += uuids(data, of: 2)
        case 0x04, 0x05: services += uuids(data, of: 4)
        case 0x06, 0x07: services += uuids(data, of: 16)
        case 0x14: solicitedServices += uuids(data, of: 2)
        case 0x1F: solicitedServices += uuids(data, of: 4)
        case 0x15: solicitedServices += uuids(data, of: 16)
        case 0x08: takeName(data, isComplete: false)
        case 0x09: takeName(data, isComplete: true)
        case 0x0A: if let field = exactly(1, data) { txPower = Int8(bitPattern: field[0]) }
        case 0x0D: if let field = exactly(3, data) { classOfDevice = UInt32(word(field, 0)) | UInt32(field[2]) << 16 }
        case 0x10: takeDeviceID(data)
        case 0x16: takeServiceData(data, of: 2)
        case 0x20: takeServiceData(data, of: 4)
        case 0x21: takeServiceData(data, of: 16)
        case 0x19: if let field = exactly(2, data) { appearance = word(field, 0) }
        case 0xFF:
            guard data.count >= 2 else { return isMalformed = true }
            manufacturerData.append(ManufacturerData(companyID: word(data, 0), bytes: Array(data.dropFirst(2))))
        default: break
        }
    }

    private mutating func exactly(_ count: Int, _ data: [UInt8]) -> [UInt8]? {
        guard data.count == count else {
            isMalformed = true
            return nil
        }
        return data
    }

    private func word(_ data: [UInt8], _ offset: Int) -> UInt16 { UInt16(data[offset]) | UInt16(data[offset + 1]) << 8 }

    /// A shortened name never replaces a complete one. A zero ends it: some devices fill up with zeros.
    private mutating func takeName(_ data: [UInt8], isComplete: Bool) {
        guard isComplete || !isLocalNameComplete else { return }
        localName = String(decoding: data.prefix { $0 != 0 }, as: UTF8.self)
        isLocalNameComplete = isComplete
    }

    /// The type stands for a Device ID in an inquiry response and for a pairing secret of sixteen octets out of band; the latter
    /// has no place here and is passed over.
    private mutating func takeDeviceID(_ data: [UInt8]) {
        guard data.count != 16, let field = exactly(8, data) else { return }
        deviceID = DeviceID(
            vendorSource: word(field, 0), vendor: word(field, 2), product: word(field, 4), version: word(field, 6))
    }

    private mutating func takeServiceData(_ data: [UInt8], of width: Int) {
        guard data.count >= width, let service = uuid(data[..<width]) else { return isMalformed = true }
        serviceData.append(ServiceData(service: service, bytes: Array(data.dropFirst(width))))
    }

    /// The whole ones of a list.
    private mutating func uuids(_ data: [UInt8], of width: Int) -> [BluetoothUUID] {
        if data.count % width != 0 { isMalformed = true }
        return stride(from: 0, through: data.count - width, by: width).compactMap { uuid(data[$0..<$0 + width]) }
    }

    private func uuid(_ octets: ArraySlice<UInt8>) -> BluetoothUUID? {
        guard octets.count == 4 else { return BluetoothUUID(littleEndian: octets) }
        return BluetoothUUID(assigned: octets.reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
}
