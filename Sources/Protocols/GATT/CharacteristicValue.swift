public import Vitals

/// The value of a GATT characteristic: its bytes as fields, and back.
///
/// `encoded` of a decoded value gives the same bytes, reserved bits included.
public protocol CharacteristicValue: Hashable, Sendable {
    /// The characteristic's 16-bit assigned number.
    static var uuid: UInt16 { get }
    init(decoding bytes: [UInt8]) throws(DecodeError)
    var encoded: [UInt8] { get }
}

/// A characteristic whose value is a measurement.
public protocol MeasurementValue: CharacteristicValue {
    var measurement: Measurement { get }
}

/// Assigned numbers of the characteristics that this room reads and writes (Bluetooth SIG, Assigned Numbers).
public enum GATTCharacteristic {
    public static let dateTime: UInt16 = 0x2A08
    public static let glucoseMeasurement: UInt16 = 0x2A18
    public static let batteryLevel: UInt16 = 0x2A19
    public static let temperatureMeasurement: UInt16 = 0x2A1C
    public static let systemID: UInt16 = 0x2A23
    public static let modelNumber: UInt16 = 0x2A24
    public static let serialNumber: UInt16 = 0x2A25
    public static let firmwareRevision: UInt16 = 0x2A26
    public static let hardwareRevision: UInt16 = 0x2A27
    public static let softwareRevision: UInt16 = 0x2A28
    public static let manufacturerName: UInt16 = 0x2A29
    public static let certificationData: UInt16 = 0x2A2A
    public static let currentTime: UInt16 = 0x2A2B
    public static let glucoseMeasurementContext: UInt16 = 0x2A34
    public static let bloodPressureMeasurement: UInt16 = 0x2A35
    public static let intermediateCuffPressure: UInt16 = 0x2A36
    public static let bloodPressureFeature: UInt16 = 0x2A49
    public static let plugAndPlayID: UInt16 = 0x2A50
    public static let recordAccessControlPoint: UInt16 = 0x2A52
    public static let pulseOximeterSpotCheck: UInt16 = 0x2A5E
    public static let pulseOximeterContinuous: UInt16 = 0x2A5F
    public static let pulseOximeterFeatures: UInt16 = 0x2A60
    public static let dateOfBirth: UInt16 = 0x2A85
    public static let bodyCompositionMeasurement: UInt16 = 0x2A9C
    public static let weightMeasurement: UInt16 = 0x2A9D
    public static let userControlPoint: UInt16 = 0x2A9F
    public static let enhancedBloodPressureMeasurement: UInt16 = 0x2B34
    public static let enhancedIntermediateCuffPressure: UInt16 = 0x2B35
    public static let bloodPressureRecord: UInt16 = 0x2B36
    public static let uniqueDeviceIdentifier: UInt16 = 0x2BFF
}

/// Assigned numbers of the services that hold them.
public enum GATTService {
    public static let currentTime: UInt16 = 0x1805
    public static let glucose: UInt16 = 0x1808
    public static let healthThermometer: UInt16 = 0x1809
    public static let deviceInformation: UInt16 = 0x180A
    public static let battery: UInt16 = 0x180F
    public static let bloodPressure: UInt16 = 0x1810
    public static let bodyComposition: UInt16 = 0x181B
    public static let userData: UInt16 = 0x181C
    public static let weightScale: UInt16 = 0x181D
    public static let pulseOximeter: UInt16 = 0x1822
}

/// One bit of a status field and what it says.
typealias StatusBit = (bit: UInt32, flag: StatusFlag)

/// Adds what the set bits say; only those that are set are looked at.
func insertFlags(in bits: UInt32?, _ table: [StatusBit], into found: inout Set<StatusFlag>) {
    guard let bits, bits != 0 else { return }
    found.reserveCapacity(found.count + bits.nonzeroBitCount)
    for entry in table where bits & (1 << entry.bit) != 0 { found.insert(entry.flag) }
}

/// `reserved flag bits 0xc0 ignored`, or nothing where none is set.
func reservedWarning(_ field: StaticString, _ bits: UInt32) -> [String] {
    bits == 0 ? [] : ["reserved \(field) bits 0x\(String(bits, radix: 16)) ignored"]
}
