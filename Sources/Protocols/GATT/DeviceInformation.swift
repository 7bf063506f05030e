/// The text characteristics of the Device Information Service, 2A24 to 2A29: UTF-8, perhaps padded with NULs or spaces.
public struct DeviceText: Hashable, Sendable {
    public var text: String

    public init(_ text: String) { self.text = text }

    /// The text without the padding around it.
    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var end = bytes.count
        while end > 0, bytes[end - 1] == 0 || bytes[end - 1] == 0x20 { end -= 1 }
        let start = bytes[..<end].firstIndex { $0 != 0x20 } ?? end
        guard let text = String(validating: bytes[start..<end], as: UTF8.self) else {
            // The text goes into the device's key: a guess at broken bytes could make two devices one.
            throw DecodeError(.invalidValue, offset: start, message: "expected UTF-8 text", bytes: bytes)
        }
        self.text = text
    }

    public var encoded: [UInt8] { Array(text.utf8) }
    public var isEmpty: Bool { text.isEmpty }
}

/// System ID 2A23: 8 bytes, little-endian, of an EUI-64: a 40-bit manufacturer identifier and a 24-bit OUI.
public struct SystemID: CharacteristicValue {
    public static let uuid = GATTCharacteristic.systemID

    /// The EUI-64, most significant byte first, as it is printed and as ISO/IEEE 11073-20601 sends it.
    public var bigEndian: [UInt8]

    /// `nil` unless there are 8 bytes.
    public init?(bigEndian: [UInt8]) {
        guard bigEndian.count == 8 else { return nil }
        self.bigEndian = bigEndian
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        bigEndian = try reader.take(8, "system identifier").reversed()
        try reader.finish()
    }

    public var encoded: [UInt8] { bigEndian.reversed() }
}

/// IEEE 11073-20601 Regulatory Certification Data List 2A2A: MDER, big-endian.
///
///     count u16 | length u16 | (body u8 | structure u8 | length u16 | data) × count
public struct CertificationData: CharacteristicValue {
    public static let uuid = GATTCharacteristic.certificationData

    public struct Entry: Hashable, Sendable {
        /// 2 is Continua.
        public var body: UInt8
        public var structure: UInt8
        public var data: [UInt8]
        public init(body: UInt8, structure: UInt8, data: [UInt8]) {
            self.body = body
            self.structure = structure
            self.data = data
        }
    }

    public var entries: [Entry]

    public init(entries: [Entry]) { self.entries = entries }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let count = try reader.u16BigEndian("number of entries")
        let length = try reader.u16BigEndian("length of the list")
        guard reader.remaining >= Int(length) else {
            throw reader.error(.tooShort, at: 4, "expected a list of \(length) bytes, found \(reader.remaining)")
        }
        guard reader.remaining == Int(length) else {
            throw reader.error(.lengthMismatch, at: 4, "expected a list of \(length) bytes, found \(reader.remaining)")
        }
        entries = []
        for _ in 0..<count {
            let body = try reader.u8("certification body")
            let structure = try reader.u8("structure of the entry")
            let size = try reader.u16BigEndian("length of the entry")
            entries.append(Entry(body: body, structure: structure, data: try reader.take(Int(size), "certification data")))
        }
        try reader.finish()
    }

    public var encoded: [UInt8] {
        func u16(_ number: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)] }
        let list = entries.flatMap { [$0.body, $0.structure] + u16($0.data.count) + $0.data }
        return u16(entries.count) + u16(list.count) + list
    }
}

/// PnP ID 2A50: `source u8 (1 Bluetooth SIG, 2 USB) | vendor u16 | product u16 | version u16`.
public struct PlugAndPlayID: CharacteristicValue {
    public static let uuid = GATTCharacteristic.plugAndPlayID

    public var vendorSource: UInt8
    public var vendor: UInt16
    public var product: UInt16
    /// Binary-coded decimal: 0x0213 is 2.1.3.
    public var version: UInt16

    public init(vendorSource: UInt8, vendor: UInt16, product: UInt16, version: UInt16) {
        self.vendorSource = vendorSource
        self.vendor = vendor
        self.product = product
        self.version = version
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        vendorSource = try reader.u8("source of the vendor id")
        vendor = try reader.u16("vendor id")
        product = try reader.u16("product id")
        version = try reader.u16("product version")
        try reader.finish()
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 7)
        writer.u8(vendorSource)
        writer.u16(vendor)
        writer.u16(product)
        writer.u16(version)
        return writer.bytes
    }
}

/// UDI for Medical Devices 2BFF: `flags u8 | [b0 label] | [b1 device identifier] | [b2 issuer OID] | [b3 authority OID]`, each
/// UTF-8 and ended by a NUL (Device Information Service 1.2).
public struct UniqueDeviceIdentifier: CharacteristicValue {
    public static let uuid = GATTCharacteristic.uniqueDeviceIdentifier

    public var label: String?
    public var deviceIdentifier: String?
    public var issuer: String?
    public var authority: String?
    /// Flag bits 4 to 7 as sent.
    public var reservedFlags: UInt8

    public init(
        label: String? = nil, deviceIdentifier: String? = nil, issuer: String? = nil, authority: String? = nil,
        reservedFlags: UInt8 = 0
    ) {
        self.label = label
        self.deviceIdentifier = deviceIdentifier
        self.issuer = issuer
        self.authority = authority
        self.reservedFlags = reservedFlags & 0xF0
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        label = flags & 1 != 0 ? try Self.text(&reader, "label") : nil
        deviceIdentifier = flags & 2 != 0 ? try Self.text(&reader, "device identifier") : nil
        issuer = flags & 4 != 0 ? try Self.text(&reader, "issuer") : nil
        authority = flags & 8 != 0 ? try Self.text(&reader, "authority") : nil
        reservedFlags = flags & 0xF0
        try reader.finish()
    }

    private static func text(_ reader: inout ByteReader, _ field: StaticString) throws(DecodeError) -> String {
        let start = reader.offset
        let length = reader.bytes[start...].firstIndex(of: 0).map { $0 - start } ?? reader.remaining + 1
        let text = try reader.take(length + 1, field).dropLast()
        guard let string = String(validating: text, as: UTF8.self) else {
            throw reader.error(.invalidValue, at: start, "expected UTF-8 text as \(field)")
        }
        return string
    }

    public var encoded: [UInt8] {
        var flags = reservedFlags
        var body: [UInt8] = []
        for (bit, text) in [label, deviceIdentifier, issuer, authority].enumerated() {
            guard let text else { continue }
            flags |= 1 << UInt8(bit)
            body += Array(text.utf8) + [0]
        }
        return [flags] + body
    }

    public var warnings: [String] { reservedWarning("flag", UInt32(reservedFlags)) }
}
