public import ExactJSON
public import Vitals

/// Where what is sent together goes: one episode of care and one resolved timing, with the request that each reading answers.
///
/// The destination's own words in ``DispatchContext/target``. The courier keeps its JSON with each item that it concerns: items of
/// one act with equal targets are one dispatch.
public struct FUTTarget: Hashable, Sendable {
    /// A reading, as what it is sent, and the version of the request that it answers.
    public struct Order: Hashable, Sendable {
        public var reading: SubjectID
        public var role: FUTCode.Role
        /// Absolute.
        public var request: String
        public var version: String

        public init(reading: SubjectID, role: FUTCode.Role, request: String, version: String) {
            self.reading = reading
            self.role = role
            self.request = request
            self.version = version
        }
    }

    /// Absolute, as the next two.
    public var patient: String
    public var episode: String
    public var device: String?
    public var timing: FUTPlan.Timing
    /// The slot of ``FUTPlan/Timing/resolved``; nothing else has one.
    public var slot: FUTSlot?
    /// In the act's order of readings.
    public var orders: [Order]

    public init(
        patient: String, episode: String, device: String? = nil, timing: FUTPlan.Timing, slot: FUTSlot? = nil, orders: [Order]
    ) {
        self.patient = patient
        self.episode = episode
        self.device = device
        self.timing = timing
        self.slot = slot
        self.orders = orders
    }

    /// The decisions of one act as what is sent together: by episode and resolved timing, each reading once in each.
    public static func targets(of decisions: [FUTDecision], patient: String, device: String?) -> [FUTTarget] {
        var targets: [FUTTarget] = []
        for decision in decisions {
            guard let request = decision.order.request, let timing = decision.order.timing, let role = decision.role else {
                continue
            }
            let order = Order(reading: decision.reading, role: role, request: request.reference, version: request.version)
            let slot = decision.order.slot
            let place = targets.firstIndex { target in
                target.episode == request.episode && target.timing == timing && target.slot == slot
                    && !target.orders.contains { $0.reading == decision.reading }
            }
            if let place {
                targets[place].orders.append(order)
            } else {
                targets.append(
                    FUTTarget(
                        patient: patient, episode: request.episode, device: device, timing: timing, slot: slot, orders: [order]))
            }
        }
        return targets
    }
}

extension FUTTarget {
    public var json: JSON {
        .members([
            "patient": .string(patient), "episode": .string(episode), "device": device.map { .string($0) },
            "timing": .string(timing.rawValue), "start": slot.map { .string($0.start.text) },
            "end": slot.map { .string($0.end.text) },
            "orders": .array(
                orders.map {
                    [
                        "reading": .string($0.reading.rawValue), "role": .string($0.role.rawValue),
                        "request": .string($0.request),
                        "version": .string($0.version),
                    ]
                }),
        ])
    }

    /// `nil` where it is not what ``json`` wrote.
    public init?(_ json: JSON) {
        guard let patient = json["patient"]?.string, let episode = json["episode"]?.string,
            let timing = json["timing"]?.string.flatMap({ FUTPlan.Timing(rawValue: $0) }), let written = json["orders"]?.array
        else { return nil }
        let orders = written.compactMap { order -> Order? in
            guard let reading = order["reading"]?.string,
                let role = order["role"]?.string.flatMap({ FUTCode.Role(rawValue: $0) }),
                let request = order["request"]?.string, let version = order["version"]?.string
            else { return nil }
            return Order(reading: SubjectID(rawValue: reading), role: role, request: request, version: version)
        }
        guard orders.count == written.count else { return nil }
        var slot: FUTSlot?
        switch (json["start"]?.string, json["end"]?.string) {
        case (nil, nil): break
        case (let start?, let end?):
            guard let from = FUTMoment(start), let until = FUTMoment(end) else { return nil }
            slot = FUTSlot(start: from, end: until)
        default: return nil
        }
        self.init(
            patient: patient, episode: episode, device: json["device"]?.string, timing: timing, slot: slot, orders: orders)
    }

    /// What is wrong with it, by the platform's own rules; `nil` where nothing is.
    var fault: String? {
        if !FUTReference.isValid(patient, type: "Patient") { return "the patient is no absolute reference" }
        if !FUTReference.isValid(episode, type: "EpisodeOfCare") { return "the episode of care is no absolute reference" }
        if let device, !FUTReference.isValid(device, type: "Device") { return "the device is no absolute reference" }
        if (timing == .resolved) != (slot != nil) { return "a resolved timing has a slot, and no other has one" }
        for order in orders {
            if !FUTReference.isValid(order.request, type: "ServiceRequest") { return "a request is no absolute reference" }
            if !LogicalID.isValid(order.version) { return "a request's version is no id" }
        }
        return nil
    }
}
