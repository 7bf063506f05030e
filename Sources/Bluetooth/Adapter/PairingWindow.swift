public import Protocols
public import Vitals

/// A technician's window: the one time at which pairing happens, with the one device that was chosen.
///
/// Outside it, and for every other address, whatever asks to pair is refused: pairing can start itself, on a peer's Security
/// Request or a socket's security level (kernel 6.1, `net/bluetooth/smp.c`).
public struct PairingWindow: Hashable, Sendable {
    /// What is wanted, from the model's catalogue entry and the technician.
    public struct Plan: Hashable, Sendable {
        public var address: DeviceAddress
        public var ioCapability: IOCapability
        /// What the device's display shows, where the technician has typed it ahead.
        public var passkey: UInt32?
        /// Of a device with a legacy PIN, 1 to 16 characters.
        public var pin: [UInt8]?

        public init(address: DeviceAddress, ioCapability: IOCapability, passkey: UInt32? = nil, pin: [UInt8]? = nil) {
            self.address = address
            self.ioCapability = ioCapability
            self.passkey = passkey
            self.pin = pin
        }
    }

    /// What only the technician can say.
    public enum Question: Hashable, Sendable {
        /// The six digits that the device shows.
        case passkey
        /// The PIN of a device with legacy pairing.
        case pin
        /// Does the device show the same number?
        case compare(UInt32)
    }

    public enum Answer: Hashable, Sendable {
        case passkey(UInt32)
        case pin([UInt8])
        case compared(isEqual: Bool)
    }

    public enum Failure: Hashable, Sendable {
        /// What the kernel says of it.
        case refused(ManagementStatus)
        /// Nothing came of it in time.
        case timedOut
        /// The device agreed, and the kernel gave no key that is to be kept.
        case noKey
        case cancelled
        /// The adapter lost its power, was reset or is gone.
        case adapterLost
    }

    enum Effect: Hashable, Sendable {
        case reply(ManagementCommand)
        case ask(Question)
        /// The technician has to enter these digits on the device.
        case show(passkey: UInt32)
        /// The bond has to be durable before it is called one.
        case store(identity: DeviceAddress, BondKeys)
        case fail(Failure)
    }

    private enum State: Hashable {
        case pairing
        case asking(Question)
        case paired
        case closed
    }

    /// From the Pair Device command to its answer: the kernel looks for the device for 20 s, and each step of the Security Manager
    /// may take 30 s (Core Vol 3 Part H 3.4), within which the technician types. 20 + 30 + 10 s for the key exchange.
    static let limit = Duration.seconds(60)

    let plan: Plan
    let index: UInt16
    private var state = State.pairing
    private var keys = BondKeys()
    private var identity: DeviceAddress

    init(plan: Plan, index: UInt16) {
        self.plan = plan
        self.index = index
        identity = plan.address
    }

    /// Whether an event is about the chosen device, under its private or its identity address.
    func concerns(_ address: DeviceAddress) -> Bool { address == plan.address || address == identity }

    mutating func receive(_ event: ManagementEvent) -> [Effect] {
        switch event {
        case .userConfirmRequest(_, let address, let isHint, let value) where concerns(address):
            // The hint asks for consent alone (Just Works): the technician gave it by choosing this device.
            return isHint ? [.reply(.confirmReply(index, address, accept: true))] : ask(.compare(value))
        case .userPasskeyRequest(_, let address) where concerns(address):
            if let passkey = plan.passkey { return [.reply(.passkeyReply(index, address, passkey: passkey))] }
            return ask(.passkey)
        case .pinCodeRequest(_, let address, _) where concerns(address):
            if let pin = plan.pin { return [.reply(.pinReply(index, address, pin: pin))] }
            return ask(.pin)
        case .passkeyNotify(_, let address, let passkey, _) where concerns(address): return [.show(passkey: passkey)]
        case .newIdentityResolvingKey(_, let isStored, let random, let key):
            guard concerns(key.address) || random.map(concerns) == true else { return [] }
            identity = key.address
            if isStored { keys.identityResolvingKey = key }
            return []
        case .newLongTermKey(_, let isStored, let key) where concerns(key.address):
            // A key of the published debug pair protects nothing, and the kernel takes none back.
            if isStored, key.keyType != .debugP256 {
                keys.longTermKeys.removeAll { $0.isCentral == key.isCentral && $0.keyType == key.keyType }
                keys.longTermKeys.append(key)
            }
            return []
        case .newLinkKey(_, let isStored, let key) where concerns(key.address):
            if isStored { keys.linkKey = key }
            return []
        default: return []
        }
    }

    /// The kernel's answer to Pair Device.
    mutating func answered(_ status: ManagementStatus) -> [Effect] {
        guard state != .closed, state != .paired else { return [] }
        // So the kernel answers what it had not finished, before it tells that the power is off (`mgmt_power_off`, `mgmt_index_removed`).
        if status == .notPowered || status == .invalidIndex { return fail(.adapterLost) }
        guard status == .success else { return fail(.refused(status)) }
        guard !keys.isEmpty else { return fail(.noKey) }
        state = .paired
        return [.store(identity: identity, keys)]
    }

    mutating func answer(_ answer: Answer) -> [Effect] {
        guard case .asking(let question) = state else { return [] }
        state = .pairing
        switch (question, answer) {
        case (.passkey, .passkey(let passkey)): return [.reply(.passkeyReply(index, plan.address, passkey: passkey))]
        case (.pin, .pin(let pin)): return [.reply(.pinReply(index, plan.address, pin: pin))]
        case (.compare, .compared(let isEqual)): return [.reply(.confirmReply(index, plan.address, accept: isEqual))]
        default:
            // No answer to what was asked: it stays asked.
            state = .asking(question)
            return []
        }
    }

    mutating func timedOut() -> [Effect] { fail(.timedOut) }
    mutating func cancel() -> [Effect] { fail(.cancelled) }
    mutating func adapterLost() -> [Effect] { fail(.adapterLost) }

    private mutating func ask(_ question: Question) -> [Effect] {
        state = .asking(question)
        return [.ask(question)]
    }

    private mutating func fail(_ failure: Failure) -> [Effect] {
        guard state != .closed, state != .paired else { return [] }
        state = .closed
        return [.fail(failure)]
    }
}
