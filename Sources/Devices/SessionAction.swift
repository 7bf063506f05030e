public import Protocols
public import Vitals

/// Names one frame of a session, from ``SessionAction/store(_:_:role:)`` to ``SessionAction/confirmed(_:)``.
public struct FrameToken: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
}

/// What a frame is in the conversation; what it says is the decoder's to tell.
public enum FrameRole: String, Hashable, Sendable, CaseIterable {
    /// A characteristic in which the device declares results, live or from its memory.
    case result
    /// The pressure during inflation: never a result.
    case intermediate
    /// One value of a stream.
    case sample
    /// Bytes that the driver has no name for: kept, never read as a result (R2).
    case unrecognized
}

/// A stream that has ended, told as one reading (DESIGN: the stream rule of the model).
public struct StreamReading: Hashable, Sendable {
    /// The frames that the reading stands on, oldest first; the last ones that came where no reading could be made.
    public var frames: [Frame]
    /// The reading as a spot measurement; `nil` where the stream held no value that may count.
    public var measurement: Measurement?
    /// The device did not declare it: it is the median of the last stable stretch.
    public var isDerived: Bool

    public init(frames: [Frame], measurement: Measurement?, isDerived: Bool) {
        self.frames = frames
        self.measurement = measurement
        self.isDerived = isDerived
    }
}

/// What a ``Session`` wants done, in this order.
public enum SessionAction: Hashable, Sendable {
    /// Send the bytes, one PDU where the bearer keeps them apart, and wait until it has taken them.
    case send([UInt8])
    /// Commit the frame, then call ``Session/committed(_:at:)``, or ``Session/refused(_:at:)`` if it cannot be
    /// committed.
    case store(FrameToken, Frame, role: FrameRole)
    /// The same for a stream as a whole.
    case storeStream(FrameToken, StreamReading)
    /// The word for this frame has left (R1).
    case confirmed(FrameToken)
    /// The device's clock was read: its face (`nil` where unset or unreadable) and the hub's clocks at that moment (R5).
    case clockRead(device: LocalDateTime?, at: ClockReading)
    /// The device's clock was set, from `before` (as read, `nil` where unset or unreadable) to `after`, when the hub's clocks
    /// showed `at`.
    case clockSet(before: LocalDateTime?, after: LocalDateTime, at: ClockReading)
    case identity(DeviceIdentity)
    /// Percent.
    case battery(Int)
    /// Keep these bytes with the bond, in place of older ones; empty: forget them.
    case handleMap([UInt8])
    /// Call ``Session/timer(at:)`` at this time or later; replaces an earlier wish.
    case wake(at: MonotonicTime)
    /// The records that came so far are one transfer; what comes later begins another.
    case transferEnded
    case note(SessionNote)
    /// Close the bearer, then call ``Session/linkEnded(at:)``.
    case end(SessionOutcome)
}

/// How a session ended.
public struct SessionOutcome: Hashable, Sendable {
    /// Results that were handed up to be stored. A link that ends with none is an outcome of its own: see ``isWithoutReading``.
    public var readings: Int
    public var reason: Reason

    public enum Reason: Hashable, Sendable {
        /// Nothing more came, and the hub ends the link.
        case quiet
        /// The device ended the link with nothing left open.
        case peerEnded
        /// The link ended in the middle: a request unanswered, an indication unconfirmed, a frame not committed.
        case linkLost
        /// The device did not answer a request in time.
        case timeout
        case protocolError(Fault)
        /// A frame could not be committed: its word is withheld (R1).
        case refused
    }

    /// What the device does that no session can go on with.
    public enum Fault: Hashable, Sendable {
        case discovery(ATTFailure)
        /// It has no characteristic that the model's driver knows.
        case noDataCharacteristic
        /// It lets nobody subscribe over this link: the bond is lost, or was never made.
        case insecure(ATTErrorCode)
        /// It sends without end before it is known who it is.
        case flood
    }

    public var isWithoutReading: Bool { readings == 0 }

    public init(readings: Int, reason: Reason) {
        self.readings = readings
        self.reason = reason
    }
}

/// For the device's log: what happened, without health data.
public enum SessionNote: Hashable, Sendable {
    case mtu(Int)
    case malformed(ATTError)
    /// A request of the peer that was answered with an error.
    case peerRequest(opcode: UInt8)
    case discovered(services: Int)
    case handleMapStale(Staleness)
    case subscribed(BluetoothUUID)
    /// A step that failed and does not end the transfer.
    case failed(Procedure, ATTFailure)
    /// The device lacks what its model says that it has.
    case absent(BluetoothUUID)
    /// The value of a feature characteristic (2A49, 2A60).
    case features(characteristic: UInt16, [UInt8])
    /// The device's clock would have been set, but the hub does not know the time itself (R5).
    case clockNotSetUnsynchronised
    /// What the device answered to a Record Access Control Point request.
    case records(RecordAccess.Result)
    case recordsTimedOut
    /// The device holds another number of records than were received: nothing is deleted.
    case deleteWithheld
    /// The device repeated an indication whose confirmation had not left; `nil` where that was for no stored frame.
    case repeated(FrameToken?)
    /// A value of an attribute that the driver has no name for.
    case unrecognized(handle: UInt16)
    /// A command of a serial protocol that came to nothing.
    case serial(SerialProcedure, SerialFailure)
    /// Bytes on a serial line that belong to nothing; told once for each link.
    case noise(bytes: Int)
    /// A packet on a serial line whose checksum or end is wrong.
    case damaged(bytes: Int)
    case commitRefused(FrameToken)

    public enum Staleness: String, Hashable, Sendable {
        case unreadable
        case hashDiffers = "hash-differs"
        case serviceChanged = "service-changed"
        case handleUnknown = "handle-unknown"
    }

    public enum Procedure: Hashable, Sendable {
        case mtu, clockRead, clockWrite, battery, records, delete
        case subscribe(BluetoothUUID)
        case identity(BluetoothUUID)
        case command(BluetoothUUID)
    }

    public enum SerialProcedure: String, Hashable, Sendable {
        case selectFormat = "select-format"
        case serialNumber = "serial-number"
        case clockRead = "clock-read"
        case clockWrite = "clock-write"
    }

    public enum SerialFailure: String, Hashable, Sendable { case refused, unanswered }
}

/// What the hub knows when the link comes up.
public struct SessionFacts: Hashable, Sendable {
    /// The device key is frozen; else the identity is read first and ``Session/enrolled(at:)`` awaited.
    public var isEnrolled: Bool
    /// What ``SessionAction/handleMap(_:)`` gave once.
    public var handleMap: [UInt8]?
    /// The address that the link goes to, as ``Vitals/DeviceIdentity/address``: for a device that does not say who it is.
    public var address: String?
    /// False when the hub's own clock is not synchronised (R5).
    public var mayWriteClock: Bool
    /// An Exchange MTU Request left before the link was encrypted, and its answer is yet to come.
    public var hasAskedMTU: Bool

    public init(
        isEnrolled: Bool, handleMap: [UInt8]? = nil, address: String? = nil, mayWriteClock: Bool, hasAskedMTU: Bool = false
    ) {
        self.hasAskedMTU = hasAskedMTU
        self.isEnrolled = isEnrolled
        self.handleMap = handleMap
        self.address = address
        self.mayWriteClock = mayWriteClock
    }
}
