/// What one frame says, decoded: still the device's own words, units and clock.
public struct Measurement: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case bloodPressure = "blood-pressure"
        /// The pressure during inflation: recognised, never a result.
        case cuffPressure = "cuff-pressure"
        case pulseOximetrySpot = "pulse-oximetry-spot"
        /// A sample of a stream; a result only by the stream rule of the model.
        case pulseOximetryContinuous = "pulse-oximetry-continuous"
        case bodyWeight = "body-weight"
        case bodyComposition = "body-composition"
        case bodyTemperature = "body-temperature"
        case glucose = "glucose"
        /// What belongs to a glucose measurement of the same sequence number (meal, medication).
        case glucoseContext = "glucose-context"

        /// Whether the device itself declares such a frame as a result.
        public var isResult: Bool {
            switch self {
            case .cuffPressure, .pulseOximetryContinuous, .glucoseContext: false
            default: true
            }
        }
    }

    public var kind: Kind
    /// Every quantity that the frame has a field for, in the order of the wire.
    public var quantities: [Quantity]
    /// The device's own timestamp as sent, `nil` where it sent none. May be invalid or unset: see ``LocalDateTime/isValid``.
    public var deviceTime: LocalDateTime?
    /// Minutes to add to `deviceTime` for the time that the user sees (glucose).
    public var timeOffsetMinutes: Int?
    public var sequence: Int?
    /// The user's slot on a device for several, as sent; `nil` where none or "unknown user" (0xFF).
    public var userIndex: Int?
    /// The status fields as sent; `nil` where the frame has none.
    public var statusBits: UInt32?
    public var sensorStatusBits: UInt32?
    public var status: Set<StatusFlag>
    /// The device says that its clock is not set.
    public var isDeviceClockUnset: Bool
    /// What the device itself keeps of this record, canonical: equal when it is sent again (R3).
    public var projection: StoredProjection
    /// What was odd but harmless, such as reserved bits.
    public var warnings: [String]

    public init(
        kind: Kind, quantities: [Quantity], deviceTime: LocalDateTime? = nil, timeOffsetMinutes: Int? = nil, sequence: Int? = nil,
        userIndex: Int? = nil, statusBits: UInt32? = nil, sensorStatusBits: UInt32? = nil, status: Set<StatusFlag> = [],
        isDeviceClockUnset: Bool = false, projection: StoredProjection, warnings: [String] = []
    ) {
        self.kind = kind
        self.quantities = quantities
        self.deviceTime = deviceTime
        self.timeOffsetMinutes = timeOffsetMinutes
        self.sequence = sequence
        self.userIndex = userIndex
        self.statusBits = statusBits
        self.sensorStatusBits = sensorStatusBits
        self.status = status
        self.isDeviceClockUnset = isDeviceClockUnset
        self.projection = projection
        self.warnings = warnings
    }

    public subscript(name: Quantity.Name) -> Quantity? { quantities.first { $0.name == name } }
}

/// The part of a record that the device stores and repeats whenever it sends it again: timestamp as sent, sequence, unit, values as
/// mantissa and exponent, status; without battery, live/from-storage bits and the like. Defined per codec and versioned (R3).
public struct StoredProjection: Hashable, Sendable {
    /// The codec and its version, such as `2a35/1`. A new version would make new identities, so it is never changed in place.
    public var codec: String
    public var bytes: [UInt8]
    /// Whether it holds a timestamp or a sequence number: without either, equal records cannot be told from a repeat.
    public var distinguishes: Bool

    public init(codec: String, bytes: [UInt8], distinguishes: Bool) {
        self.codec = codec
        self.bytes = bytes
        self.distinguishes = distinguishes
    }
}

/// A bit of a measurement status or sensor status field, by its meaning.
public enum StatusFlag: String, Hashable, Sendable, CaseIterable {
    // Blood pressure, 2A35 measurement status (BLS 1.1.1; 8410608.n in the PHD IG's bits observation).
    case bodyMovement = "body-movement"
    case cuffTooLoose = "cuff-too-loose"
    case irregularPulse = "irregular-pulse"
    case pulseRateAboveRange = "pulse-rate-above-range"
    case pulseRateBelowRange = "pulse-rate-below-range"
    case improperPosition = "improper-position"
    // Pulse oximeter, measurement status (PLXS 1.0.1).
    case ongoing = "measurement-ongoing"
    case earlyEstimate = "early-estimate"
    case validated = "validated"
    case fullyQualified = "fully-qualified"
    case fromStorage = "from-storage"
    case demonstration = "demonstration"
    case testing = "testing"
    case calibrating = "calibrating"
    case unavailable = "unavailable"
    case questionable = "questionable"
    case invalid = "invalid"
    // Pulse oximeter, device and sensor status.
    case extendedDisplayUpdate = "extended-display-update"
    case equipmentMalfunction = "equipment-malfunction"
    case signalProcessingIrregularity = "signal-processing-irregularity"
    case inadequateSignal = "inadequate-signal"
    case poorSignal = "poor-signal"
    case lowPerfusion = "low-perfusion"
    case erraticSignal = "erratic-signal"
    case nonpulsatileSignal = "nonpulsatile-signal"
    case questionablePulse = "questionable-pulse"
    case signalAnalysisOngoing = "signal-analysis-ongoing"
    case sensorInterference = "sensor-interference"
    case sensorUnconnectedToUser = "sensor-unconnected-to-user"
    case unknownSensor = "unknown-sensor"
    case sensorDisplaced = "sensor-displaced"
    case sensorMalfunctioning = "sensor-malfunctioning"
    case sensorDisconnected = "sensor-disconnected"
    // Glucose, sensor status annunciation (GLS 1.0.1).
    case batteryLow = "battery-low"
    case sampleInsufficient = "sample-insufficient"
    case stripInsertionError = "strip-insertion-error"
    case stripTypeIncorrect = "strip-type-incorrect"
    case resultTooHigh = "result-too-high"
    case resultTooLow = "result-too-low"
    case temperatureTooHigh = "temperature-too-high"
    case temperatureTooLow = "temperature-too-low"
    case readInterrupted = "read-interrupted"
    case generalFault = "general-fault"
    case timeFault = "time-fault"
    case controlSolution = "control-solution"

    /// The device says that the numbers are no measurement of the patient: kept, never sent.
    public var makesInvalid: Bool {
        switch self {
        case .invalid, .unavailable, .calibrating, .demonstration, .testing, .sensorInterference, .sensorUnconnectedToUser,
            .unknownSensor, .sensorDisplaced, .sensorDisconnected, .sensorMalfunctioning, .equipmentMalfunction, .controlSolution:
            true
        default: false
        }
    }
}

extension Measurement {
    /// Whether the device itself marks it invalid, a test, or has no number in it: kept, never sent.
    public var isInvalid: Bool {
        status.contains(where: \.makesInvalid) || quantities.allSatisfy { $0.value.number == nil }
    }
}
