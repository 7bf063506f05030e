/// What a device says of itself, and what it was reached by.
public struct DeviceIdentity: Hashable, Sendable {
    public var manufacturer: String?
    public var modelNumber: String?
    public var serialNumber: String?
    public var firmwareRevision: String?
    public var hardwareRevision: String?
    public var softwareRevision: String?
    /// The IEEE 11073 System ID (EUI-64), most significant byte first.
    public var systemID: [UInt8]?
    /// The identity address (public, or static random), as `AA:BB:CC:DD:EE:FF`.
    public var address: String?
    /// The unique device identifier's device-identifier part.
    public var udi: String?

    public init(
        manufacturer: String? = nil, modelNumber: String? = nil, serialNumber: String? = nil, firmwareRevision: String? = nil,
        hardwareRevision: String? = nil, softwareRevision: String? = nil, systemID: [UInt8]? = nil, address: String? = nil,
        udi: String? = nil
    ) {
        self.manufacturer = manufacturer
        self.modelNumber = modelNumber
        self.serialNumber = serialNumber
        self.firmwareRevision = firmwareRevision
        self.hardwareRevision = hardwareRevision
        self.softwareRevision = softwareRevision
        self.systemID = systemID
        self.address = address
        self.udi = udi
    }

    /// These facts, with those of `other` where this one has none.
    public func completed(by other: DeviceIdentity) -> DeviceIdentity {
        DeviceIdentity(
            manufacturer: manufacturer ?? other.manufacturer, modelNumber: modelNumber ?? other.modelNumber,
            serialNumber: serialNumber ?? other.serialNumber, firmwareRevision: firmwareRevision ?? other.firmwareRevision,
            hardwareRevision: hardwareRevision ?? other.hardwareRevision,
            softwareRevision: softwareRevision ?? other.softwareRevision, systemID: systemID ?? other.systemID,
            address: address ?? other.address, udi: udi ?? other.udi)
    }
}

/// The name under which a device's readings are one family (R3): computed once at enrolment, the same on every hub, then frozen.
public struct DeviceKey: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
}
