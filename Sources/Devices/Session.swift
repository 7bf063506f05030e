public import Catalogue
public import Vitals

/// One connection with a device, decided without touching the radio: what happens goes in, what to do comes out, in order.
///
/// The contract with the shell around it (`Intake/DeviceLink`): every ``SessionAction/store(_:_:role:)`` is answered by
/// ``committed(_:at:)`` or ``refused(_:at:)``; a frame's word leaves only after the former (R1).
public protocol Session: Sendable {
    /// The link is up.
    mutating func start(at now: ClockReading) -> [SessionAction]
    /// Bytes came at that moment: one PDU where the bearer keeps them apart, else as much of the stream as there was.
    mutating func receive(_ bytes: [UInt8], at now: ClockReading) -> [SessionAction]
    /// The frame is durable: its word may leave (R1).
    mutating func committed(_ token: FrameToken, at now: ClockReading) -> [SessionAction]
    /// The frame could not be committed.
    mutating func refused(_ token: FrameToken, at now: ClockReading) -> [SessionAction]
    /// The device has its key: its frames can be readings now.
    mutating func enrolled(at now: ClockReading) -> [SessionAction]
    /// The time of the last ``SessionAction/wake(at:)`` has come; earlier calls change nothing.
    mutating func timer(at now: ClockReading) -> [SessionAction]
    /// The link is gone, by whichever side.
    mutating func linkEnded(at now: ClockReading) -> [SessionAction]
}

/// The session of the model's driver.
public func makeSession(model: Model, facts: SessionFacts) -> any Session {
    switch model.driver {
    case .bloodPressure, .pulseOximeter: DeviceSession(model: model, facts: facts)
    case .noninSerial: NoninSerialSession(model: model, facts: facts)
    }
}
