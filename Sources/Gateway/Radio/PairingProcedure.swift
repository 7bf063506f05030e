import Bluetooth
import Catalogue
import ExactJSON
import HubAPI
import Protocols
import Vitals

/// From "here is a device" to "it is paired, known, and its clock is right"; the proof comes after it (``VerificationProcedure``).
struct PairingProcedure: Procedure {
    /// Timing constants.
    enum Timing {
        /// A device in its pairing mode advertises at least every 1.28 s (GAP's slowest interval for it is 1.28 s, Core Vol 3 Part C
        /// appendix A); the rest is the technician's, who reads what to press and presses it.
        static let search = Duration.seconds(60)
        /// After so long without it the technician is told what to press.
        static let hint = Duration.seconds(3)
        /// Identity, clock and subscription take some 20 requests, a second or two on a good link; cuffs that are asked nothing stay
        /// up for half a minute.
        static let session = Duration.seconds(30)
    }

    private enum State {
        case searching(since: MonotonicTime, isHinted: Bool)
        case pairing(Advertiser, Model)
        case asking(Advertiser, Model, PairingWindow.Question)
        case storing(Model, LinkSecurity)
        case meeting(StoredDevice, Model, since: MonotonicTime)
        case over
    }

    /// Address or advertised name.
    let wanted: String
    /// As the technician named it, else by what the device advertises.
    let model: Model?
    let passkey: UInt32?
    let pin: [UInt8]?
    private var state = State.over

    init(wanted: String, model: Model?, passkey: UInt32?, pin: [UInt8]?) {
        self.wanted = wanted
        self.model = model
        self.passkey = passkey
        self.pin = pin
    }

    mutating func start(at now: MonotonicTime) -> [ProcedureEffect] {
        state = .searching(since: now, isHinted: false)
        return [.step(ProcedureStep("looking", "Looking for \(wanted).")), .scan(true)]
    }

    mutating func receive(_ event: ProcedureEvent, at now: MonotonicTime) -> [ProcedureEffect] {
        switch (state, event) {
        case (.over, _): return []
        case (_, .adapterLost): return fail(.noAdapter)
        case (.searching, .cancelled): return [.scan(false)] + fail(.cancelled)
        case (.pairing, .cancelled), (.asking, .cancelled): return [.cancelPairing] + fail(.cancelled)
        case (_, .cancelled): return finish()
        case (.searching, .heard(let advertiser)) where advertiser.isMeant(by: wanted): return found(advertiser)
        case (.searching(let since, let isHinted), .tick): return stillLooking(since: since, isHinted: isHinted, at: now)
        case (.pairing(let advertiser, let model), .pairing(let news)),
            (.asking(let advertiser, let model, _), .pairing(let news)):
            return pairing(advertiser, model, news)
        case (.asking(let advertiser, let model, let question), .answered(let text)):
            return answered(advertiser, model, question, text)
        case (.storing(let model, let security), .stored(.success(let device))):
            state = .meeting(device, model, since: now)
            return [
                .step(
                    ProcedureStep(
                        "paired", "Paired, and the key is stored. The link is \(security.words).",
                        [
                            .init("device", .string(device.name)), .init("model", .string(model.id)),
                            .init("security", .string(security.rawValue)),
                        ]))
            ] + (model.transport == .classicSerial ? finish() : [])
        case (.storing, .stored(.failure(let error))): return fail(error)
        case (.meeting(_, _, let since), .tick): return now >= since + Timing.session ? finish() : []
        case (.meeting, .device(let news)): return met(news)
        default: return []
        }
    }

    // MARK: Searching

    private mutating func found(_ advertiser: Advertiser) -> [ProcedureEffect] {
        guard let model = model ?? advertiser.model else {
            return [.scan(false)]
                + fail(
                    OperationError(
                        "The device was not paired.",
                        why: "No entry of the catalogue fits what \(wanted) advertises.",
                        remedy: "Say what it is: --model generic-blood-pressure, or --model generic-pulse-oximeter.",
                        exitCode: 65))
        }
        let capability = model.pairing.ioCapability
        let plan = PairingWindow.Plan(
            address: advertiser.address, ioCapability: IOCapability(rawValue: capability.code) ?? .noInputNoOutput,
            passkey: passkey, pin: pin)
        state = .pairing(advertiser, model)
        return [
            .step(
                ProcedureStep(
                    "found", "Found \(advertiser.shownName ?? advertiser.address.text).",
                    advertiser.json.map { $0.key == "model" ? .init("model", .string(model.id)) : $0 })),
            .scan(false), .pair(plan, model),
        ]
    }

    private mutating func stillLooking(since: MonotonicTime, isHinted: Bool, at now: MonotonicTime) -> [ProcedureEffect] {
        if now >= since + Timing.search {
            return [.scan(false)]
                + fail(
                    OperationError(
                        "The device was not paired.", why: "\(wanted) was not heard within a minute.",
                        remedy: "Put it into its pairing mode close to the hub, see `vitalgate scan`, and try again.",
                        exitCode: 75))
        }
        guard !isHinted, now >= since + Timing.hint else { return [] }
        state = .searching(since: since, isHinted: true)
        let instructions = model?.pairing.instructions ?? Model.Pairing().instructions
        return [.step(ProcedureStep("press", instructions))]
    }

    // MARK: Pairing

    private mutating func pairing(
        _ advertiser: Advertiser, _ model: Model, _ news: AdapterMachine.Pairing
    ) -> [ProcedureEffect] {
        switch news {
        case .started: return [.step(ProcedureStep("connecting", "Connecting and pairing."))]
        case .asks(let question):
            state = .asking(advertiser, model, question)
            return [.ask(question.step(model.pairing.pinHint))]
        case .shows(let passkey):
            let digits = PairingWindow.Question.sixDigits(passkey)
            return [.step(ProcedureStep("enter-passkey", "Enter \(digits) on the device.", [.init("value", .string(digits))]))]
        case .store(let identity, let keys):
            state = .storing(model, keys.security)
            return [.store(address: identity, keys: keys, model: model)]
        case .failed(let failure): return fail(failure.error(model))
        }
    }

    private mutating func answered(
        _ advertiser: Advertiser, _ model: Model, _ question: PairingWindow.Question, _ text: String
    ) -> [ProcedureEffect] {
        guard let answer = question.answer(text) else { return [.ask(question.step(model.pairing.pinHint))] }
        state = .pairing(advertiser, model)
        return [.answer(answer)]
    }

    // MARK: The first session

    private mutating func met(_ news: DeviceNews) -> [ProcedureEffect] {
        switch news {
        case .identified: return [.step(ProcedureStep("identity", "The device said who it is."))]
        case .clockSet: return [.step(ProcedureStep("clock-set", "Its clock is set."))]
        case .subscribed: return [.step(ProcedureStep("subscribed", "It will send its readings."))]
        case .battery(let percent):
            return [.step(ProcedureStep("battery", "Battery \(percent) %.", [.init("percent", .integer(percent))]))]
        case .reading: return [.step(ProcedureStep("test-reading", "A reading came; it counts as a test."))]
        case .ended: return finish()
        case .connected, .keyRefused, .bondLost: return []
        }
    }

    private mutating func finish() -> [ProcedureEffect] {
        var effects: [ProcedureEffect] = []
        if case .meeting(let device, let model, _) = state {
            effects.append(
                .step(
                    ProcedureStep(
                        "done",
                        "Not proved yet: within 30 minutes run `vitalgate devices verify \(device.name)`. \(model.pairing.proof)",
                        [.init("device", .string(device.name))])))
        }
        state = .over
        return effects + [.finish]
    }

    private mutating func fail(_ error: OperationError) -> [ProcedureEffect] {
        state = .over
        return [.fail(error)]
    }
}

extension PairingWindow.Question {
    func step(_ hint: String?) -> ProcedureStep {
        let place = hint.map { " (\($0))" } ?? ""
        return switch self {
        case .passkey: ProcedureStep("passkey-wanted", "Enter the six digits that the device shows\(place), within 30 seconds.")
        case .pin: ProcedureStep("pin-wanted", "Enter the device's PIN\(place).")
        case .compare(let value):
            ProcedureStep(
                "compare", "Does the device show \(Self.sixDigits(value))? Answer yes or no.",
                [.init("value", .string(Self.sixDigits(value)))])
        }
    }

    /// `nil` where the text is no answer to it.
    func answer(_ text: String) -> PairingWindow.Answer? {
        switch self {
        case .passkey:
            guard let passkey = UInt32(text), passkey <= 999_999 else { return nil }
            return .passkey(passkey)
        case .pin:
            let pin = Array(text.utf8)
            return (1...16).contains(pin.count) ? .pin(pin) : nil
        case .compare:
            switch text.lowercased() {
            case "yes", "y": return .compared(isEqual: true)
            case "no", "n": return .compared(isEqual: false)
            default: return nil
            }
        }
    }

    static func sixDigits(_ value: UInt32) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}

extension PairingWindow.Failure {
    func error(_ model: Model) -> OperationError {
        let what = "The device was not paired."
        switch self {
        case .refused(.authenticationFailed):
            return OperationError(
                what, why: "The digits were wrong or not confirmed, or the device refused.",
                remedy:
                    "Try again. If it stays, delete the hub from the device's own list of partners. \(model.pairing.instructions)",
                exitCode: 1)
        case .refused(let status):
            return OperationError(
                what, why: "Bluetooth says: \(status).", remedy: "\(model.pairing.instructions) Then try again.", exitCode: 75)
        case .timedOut:
            return OperationError(
                what, why: "The device did not finish the pairing within a minute.",
                remedy: "\(model.pairing.instructions) Then try again.", exitCode: 75)
        case .noKey:
            return OperationError(
                what, why: "The device paired without leaving a key: it would have to be paired at every connect.",
                remedy: "\(model.pairing.instructions) Then try again.", exitCode: 1)
        case .cancelled: return .cancelled
        case .adapterLost:
            return OperationError(
                what, why: "The Bluetooth adapter was lost in the middle of it: switched off, reset or pulled out.",
                remedy: "See `vitalgate doctor`. When it finds the adapter well, begin again. \(model.pairing.instructions)",
                exitCode: 69)
        }
    }
}

extension LinkSecurity {
    var words: String {
        switch self {
        case .local: "local"
        case .none: "not encrypted"
        case .encrypted: "encrypted"
        case .authenticated: "encrypted, and the device proved by digits"
        }
    }
}

extension OperationError {
    static let noAdapter = OperationError(
        "There is no working Bluetooth adapter.", why: "The hub's radio is missing, off or in other hands.",
        remedy: "See `vitalgate doctor`, which says which of them.", exitCode: 69)
    static let cancelled = OperationError(
        "It was cancelled.", why: "Somebody ended it.",
        remedy: "Begin again when the device is at hand.", exitCode: 1)
}
