/// One measuring event as receivers are told of it: a cuff's pressures and pulse, an oximeter's saturation and pulse.
///
/// A snapshot for destinations: everything a receiver may be told, decided and bound.
public struct Act: Hashable, Sendable {
    public var id: SubjectID
    public var measurement: Measurement
    public var readings: [IdentifiedReading]
    /// When it was measured, after all decisions on time (R5).
    public var effective: MeasuredTime
    /// How the effective time was found.
    public var timeBasis: TimeBasis
    public var device: DeviceIdentity
    /// The specialisation of the device, MDC_DEV_SPEC_PROFILE_* (528391 blood pressure, 528388 pulse oximeter).
    public var specialization: MDC
    public var patient: PatientAlias
    /// The charge that the device reported in the transfer, in percent.
    public var batteryPercent: Int?
    /// Advice to the reader of the value; never a reason to withhold it (R4).
    public var cautions: Set<Caution>
    /// The device clock's face and the hub's time at one moment of the transfer, which makes a correction recoverable.
    public var coincidence: ClockCoincidence?
    /// The value was taken from a stream by the model's rule, not declared by the device.
    public var isDerived: Bool

    public struct IdentifiedReading: Hashable, Sendable {
        public var id: SubjectID
        public var reading: Reading
        public init(id: SubjectID, reading: Reading) {
            self.id = id
            self.reading = reading
        }
    }

    /// Why a value deserves a second look.
    public enum Caution: String, Hashable, Sendable, CaseIterable {
        /// Outside the model's stated range or the programme's bounds: check value or person.
        case unlikelyValue = "unlikely-value"
        case technicianTest = "technician-test"
        case guest = "guest"
    }

    public init(
        id: SubjectID, measurement: Measurement, readings: [IdentifiedReading], effective: MeasuredTime, timeBasis: TimeBasis,
        device: DeviceIdentity, specialization: MDC, patient: PatientAlias, batteryPercent: Int? = nil,
        cautions: Set<Caution> = [], coincidence: ClockCoincidence? = nil, isDerived: Bool = false
    ) {
        self.id = id
        self.measurement = measurement
        self.readings = readings
        self.effective = effective
        self.timeBasis = timeBasis
        self.device = device
        self.specialization = specialization
        self.patient = patient
        self.batteryPercent = batteryPercent
        self.cautions = cautions
        self.coincidence = coincidence
        self.isDerived = isDerived
    }
}

/// How an effective time was found (R5).
public enum TimeBasis: String, Hashable, Sendable, CaseIterable {
    /// The device has no timestamp for it and sent it live: the hub's clock when it arrived.
    case received
    /// The device's stamp, moved by the difference between its clock and the hub's within one clock epoch.
    case corrected
    /// The device's stamp taken as local time; nothing was known of its clock.
    case local
    /// A person said so.
    case stated
}

/// The two clocks at one moment.
public struct ClockCoincidence: Hashable, Sendable {
    public var device: LocalDateTime
    public var hub: ClockReading
    public init(device: LocalDateTime, hub: ClockReading) {
        self.device = device
        self.hub = hub
    }
}
