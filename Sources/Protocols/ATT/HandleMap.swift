/// Where a server keeps its attributes: what discovery finds, kept with the bond so that a device that indicates right after the
/// link is up is understood before anything was asked.
///
/// It holds until the server indicates Service Changed, its database hash differs, or a handle turns out not to exist.
public struct HandleMap: Hashable, Sendable {
    public struct Service: Hashable, Sendable {
        public var type: BluetoothUUID
        public var range: HandleRange
        public var characteristics: [Characteristic]
        public init(type: BluetoothUUID, range: HandleRange, characteristics: [Characteristic] = []) {
            self.type = type
            self.range = range
            self.characteristics = characteristics
        }
    }

    public struct Characteristic: Hashable, Sendable {
        public var type: BluetoothUUID
        public var properties: Properties
        /// The handle of its value.
        public var value: UInt16
        /// The handle of its Client Characteristic Configuration, where it has one.
        public var configuration: UInt16?
        public init(type: BluetoothUUID, properties: Properties, value: UInt16, configuration: UInt16? = nil) {
            self.type = type
            self.properties = properties
            self.value = value
            self.configuration = configuration
        }
    }

    /// The characteristic properties of its declaration (Core Vol 3 Part G 3.3.1.1).
    public struct Properties: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let broadcast = Properties(rawValue: 0x01)
        public static let read = Properties(rawValue: 0x02)
        public static let writeWithoutResponse = Properties(rawValue: 0x04)
        public static let write = Properties(rawValue: 0x08)
        public static let notify = Properties(rawValue: 0x10)
        public static let indicate = Properties(rawValue: 0x20)
        public static let signedWrite = Properties(rawValue: 0x40)
        public static let extended = Properties(rawValue: 0x80)
    }

    public var services: [Service]
    /// The server's database hash (2B2A) when the map was made, where it has one.
    public var databaseHash: [UInt8]?

    public init(services: [Service] = [], databaseHash: [UInt8]? = nil) {
        self.services = services
        self.databaseHash = databaseHash
    }

    /// The first characteristic of a type, within a service where one is named.
    public func characteristic(_ type: BluetoothUUID, in service: BluetoothUUID? = nil) -> Characteristic? {
        services.lazy.filter { service == nil || $0.type == service }.flatMap(\.characteristics).first { $0.type == type }
    }

    /// The characteristic whose value is at the handle.
    public func characteristic(at handle: UInt16) -> Characteristic? {
        services.lazy.flatMap(\.characteristics).first { $0.value == handle }
    }
}

extension BluetoothUUID {
    /// Primary Service declaration.
    public static let primaryService: BluetoothUUID = 0x2800
    /// Characteristic declaration.
    public static let characteristicDeclaration: BluetoothUUID = 0x2803
    /// Client Characteristic Configuration descriptor.
    public static let clientCharacteristicConfiguration: BluetoothUUID = 0x2902
    public static let serviceChanged: BluetoothUUID = 0x2A05
    public static let databaseHash: BluetoothUUID = 0x2B2A
}

// MARK: - Kept form

/// Why kept bytes are no handle map. It is then found anew.
public enum HandleMapError: Error, Hashable, Sendable {
    case unknownVersion
    case truncated(offset: Int)
}

/// Layout, version 1: `01 | hash length (0 or 16) | hash | services u16 | services...`; a service is `UUID | first u16 | last u16
/// | characteristics u16 | characteristics...`; a characteristic is `UUID | properties | value u16 | configuration u16 (0:
/// none)`; a UUID is its length (2 or 16) and its octets. Little-endian.
extension HandleMap {
    private static let version: UInt8 = 1

    public var bytes: [UInt8] {
        var bytes: [UInt8] = [Self.version, UInt8(databaseHash?.count ?? 0)] + (databaseHash ?? [])
        func word(_ number: UInt16) { bytes += [UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)] }
        func uuid(_ uuid: BluetoothUUID) { bytes += [UInt8(uuid.littleEndian.count)] + uuid.littleEndian }
        word(UInt16(clamping: services.count))
        for service in services {
            uuid(service.type)
            word(service.range.first)
            word(service.range.last)
            word(UInt16(clamping: service.characteristics.count))
            for characteristic in service.characteristics {
                uuid(characteristic.type)
                bytes.append(characteristic.properties.rawValue)
                word(characteristic.value)
                word(characteristic.configuration ?? 0)
            }
        }
        return bytes
    }

    public init(bytes: [UInt8]) throws(HandleMapError) {
        var position = 0
        func take(_ count: Int) throws(HandleMapError) -> [UInt8] {
            guard bytes.count - position >= count else { throw .truncated(offset: position) }
            defer { position += count }
            return Array(bytes[position..<position + count])
        }
        func octet() throws(HandleMapError) -> UInt8 { try take(1)[0] }
        func word() throws(HandleMapError) -> UInt16 {
            let pair = try take(2)
            return UInt16(pair[0]) | UInt16(pair[1]) << 8
        }
        func uuid() throws(HandleMapError) -> BluetoothUUID {
            let octets = try take(Int(try octet()))
            guard let uuid = BluetoothUUID(littleEndian: octets) else { throw .truncated(offset: position) }
            return uuid
        }
        guard try octet() == Self.version else { throw .unknownVersion }
        let hash = try take(Int(try octet()))
        var services: [Service] = []
        for _ in 0..<(try word()) {
            var service = Service(type: try uuid(), range: HandleRange(try word(), try word()))
            for _ in 0..<(try word()) {
                let type = try uuid()
                let properties = Properties(rawValue: try octet())
                let value = try word()
                let configuration = try word()
                service.characteristics.append(
                    Characteristic(
                        type: type, properties: properties, value: value, configuration: configuration == 0 ? nil : configuration)
                )
            }
            services.append(service)
        }
        guard position == bytes.count else { throw .truncated(offset: position) }
        self.init(services: services, databaseHash: hash.isEmpty ? nil : hash)
    }
}
