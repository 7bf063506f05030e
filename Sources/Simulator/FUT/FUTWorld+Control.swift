public import ExactJSON
import Vitals

/// Changes of the world as control messages say them; see ``FUTSimulator`` for an example of each.
extension FUTWorld {
    /// A list of such citizens, or one; slots in minutes count from this moment.
    public init(_ json: JSON) throws(FUTControlError) {
        self.init([])
        let now = FUTTime.machine()
        for citizen in json.array ?? [json] { try change(citizen, now: now) }
    }

    /// Adds a citizen or changes one: `{"citizen": "anna", "patient": "1001", "userType": ..., "roles": [...], "episodes": [...],
    /// "devices": [...]}`. What is not named stays. A new episode and its requests hold since `since` (minutes from now, or ISO 8601). An episode or request of a known id is changed, of an unknown id added; each
    /// change of a request is a new version of it.
    mutating func change(_ json: JSON, now: Instant) throws(FUTControlError) {
        guard let name = json["citizen"]?.string else { throw FUTControlError("citizen is missing") }
        var citizen: FUTCitizen
        let position = citizens.firstIndex { $0.name == name }
        if let position {
            citizen = citizens[position]
        } else {
            guard let patient = json["patient"]?.string else {
                throw FUTControlError("no citizen \(name); a new one needs patient")
            }
            citizen = FUTCitizen(name: name, patient: patient, episodes: [], devices: [])
        }
        if let patient = json["patient"]?.string { citizen.patient = patient }
        if let type = json["userType"]?.string { citizen.userType = type }
        if let roles = json["roles"]?.array { citizen.roles = Set(roles.compactMap(\.string)) }
        for episode in json["episodes"]?.array ?? [] { try citizen.change(episode: episode, now: now) }
        for device in json["devices"]?.array ?? [] { try citizen.change(device: device, now: now) }
        if let position { citizens[position] = citizen } else { citizens.append(citizen) }
    }
}

extension FUTCitizen {
    fileprivate mutating func change(episode json: JSON, now: Instant) throws(FUTControlError) {
        guard let id = json["id"]?.string else { throw FUTControlError("an episode needs its id") }
        let known = episodes.first { $0.id == id }
        let since = try json["since"].map { (value) throws(FUTControlError) in try FUTTiming.instant(value, now: now) }
        var episode = known ?? FUTEpisode(id: id, carePlan: "\(id)-plan", started: since ?? now, requests: [])
        if let plan = json["carePlan"]?.string { episode.carePlan = plan }
        if let status = json["status"]?.string { episode.status = status }
        if let status = json["carePlanStatus"]?.string { episode.carePlanStatus = status }
        for request in json["requests"]?.array ?? [] {
            try episode.change(request: request, now: now, changed: known == nil ? episode.started : now)
        }
        if let index = episodes.firstIndex(where: { $0.id == id }) { episodes[index] = episode } else { episodes.append(episode) }
    }

    fileprivate mutating func change(device json: JSON, now: Instant) throws(FUTControlError) {
        guard let id = json["id"]?.string else { throw FUTControlError("a device needs its id") }
        var device =
            devices.first { $0.id == id }
            ?? FUTDevice(
                id: id, use: "\(id)-use", manufacturer: "A&D Medical", model: "UA-651BLE", serial: "SIM-\(id)", type: "258057004",
                since: now)
        if let use = json["use"]?.string { device.use = use }
        if let manufacturer = json["manufacturer"]?.string { device.manufacturer = manufacturer }
        if let model = json["model"]?.string { device.model = model }
        if let serial = json["serial"]?.string { device.serial = serial }
        if let type = json["type"]?.string { device.type = type }
        if let status = json["status"]?.string { device.status = status }
        if let index = devices.firstIndex(where: { $0.id == id }) { devices[index] = device } else { devices.append(device) }
    }
}

extension FUTEpisode {
    /// - Parameter changed: since when it holds.
    fileprivate mutating func change(request json: JSON, now: Instant, changed: Instant) throws(FUTControlError) {
        guard let id = json["id"]?.string else { throw FUTControlError("a request needs its id") }
        let known = requests.firstIndex { $0.id == id }
        var request: FUTRequest
        if let known {
            request = requests[known]
        } else {
            guard let code = json["code"]?.string else { throw FUTControlError("no request \(id); a new one needs code") }
            request = FUTRequest(id: id, code: code, activity: code, timing: .adhoc, changed: changed)
        }
        if let code = json["code"]?.string { request.code = code }
        if let activity = json["activity"]?.string { request.activity = activity }
        if let status = json["status"]?.string { request.status = status }
        if let extra = json["extra"]?.bool { request.includesExtra = extra }
        if let timing = json["timing"] { request.timing = try FUTTiming(timing, now: now) }
        guard let known else {
            requests.append(request)
            return
        }
        guard request != requests[known] else { return }
        request.version += 1
        request.changed = changed
        requests[known] = request
    }
}

extension FUTTiming {
    /// `"adhoc"`, `"unresolved"`, `{"slots": [{"from": -60, "to": 180, "occurrences": 2}]}` (minutes from now, or ISO 8601), or
    /// `{"daily": {"minute": 480, "minutes": 240, "occurrences": 1}}`.
    init(_ json: JSON, now: Instant) throws(FUTControlError) {
        switch json.string {
        case "adhoc": self = .adhoc
        case "unresolved": self = .unresolved
        case .some(let other): throw FUTControlError("no such timing: \(other)")
        case nil:
            if let daily = json["daily"] {
                self = .daily(
                    minute: daily["minute"]?.integer ?? 0, minutes: daily["minutes"]?.integer ?? 60,
                    occurrences: daily["occurrences"]?.integer ?? 1)
                return
            }
            guard let slots = json["slots"]?.array else { throw FUTControlError("a timing is adhoc, unresolved, slots or daily") }
            var read: [FUTSlot] = []
            for slot in slots {
                read.append(
                    FUTSlot(
                        start: try Self.instant(slot["from"], now: now), end: try Self.instant(slot["to"], now: now),
                        occurrences: slot["occurrences"]?.integer ?? 1))
            }
            self = .slots(read)
        }
    }

    fileprivate static func instant(_ value: JSON?, now: Instant) throws(FUTControlError) -> Instant {
        if let minutes = value?.integer { return now + .seconds(minutes * 60) }
        guard let instant = value?.string.flatMap({ Instant(iso8601: $0) }) else {
            throw FUTControlError("a time (since, from, to) is in minutes from now, or ISO 8601")
        }
        return instant
    }
}
