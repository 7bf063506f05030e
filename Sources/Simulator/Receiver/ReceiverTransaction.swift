import ExactJSON

/// A Bundle of type transaction or batch (FHIR R4, http.html#transaction).
extension ReceiverStore {
    private struct Plan {
        enum Step { case create(Key), existing(Key), update(Key), read(ReceiverAnswer), refused(ReceiverError) }
        var step: Step
        var resource: JSON?
    }

    /// - Parameters:
    ///   - failing: an entry that fails as if its content were wrong.
    ///   - refusing: an entry that is refused inside a 200, the others stored.
    mutating func process(
        _ bundle: JSON, failing: Int?, refusing: Int?, returnsResources: Bool, at time: String
    ) throws(ReceiverError) -> ReceiverAnswer {
        guard bundle["resourceType"]?.string == "Bundle", let kind = bundle["type"]?.string,
            kind == "transaction" || kind == "batch"
        else { throw ReceiverError(400, "invalid", "a Bundle of type transaction or batch belongs here") }
        let isTransaction = kind == "transaction"
        let entries = bundle["entry"]?.array ?? []
        if isTransaction { try checkConditions(entries) }

        // First all decisions, so that a transaction that fails has changed nothing.
        var plans: [Plan] = []
        var references: [String: String] = [:]
        var planned: Set<Key> = []
        for (index, entry) in entries.enumerated() {
            do throws(ReceiverError) {
                if index == failing { throw ReceiverError(422, "invariant", "this entry breaks a rule of the receiver") }
                if index == refusing {
                    plans.append(
                        Plan(step: .refused(ReceiverError(422, "invariant", "this entry breaks a rule of the receiver"))))
                    continue
                }
                let plan = try plan(entry, avoiding: &planned)
                plans.append(plan)
                switch plan.step {
                case .create(let key), .existing(let key), .update(let key):
                    if let url = entry["fullUrl"]?.string { references[url] = key.reference }
                case .read, .refused: break
                }
            } catch {
                var error = error
                error.expression = "Bundle.entry[\(index)]"
                guard !isTransaction else { throw error }
                plans.append(Plan(step: .refused(error)))
            }
        }
        for index in plans.indices {
            guard let resource = plans[index].resource else { continue }
            do throws(ReceiverError) {
                plans[index].resource = try resolve(resource, references)
            } catch {
                var error = error
                error.expression = "Bundle.entry[\(index)]"
                guard !isTransaction else { throw error }
                plans[index].step = .refused(error)
            }
        }
        let answers: [JSON] = plans.map { plan in
            let answer = carryOut(plan, at: time)
            return Self.entry(answer, withResource: returnsResources || answer.status >= 400 || answer.headers.isEmpty)
        }
        return ReceiverAnswer(
            status: 200,
            body: ["resourceType": "Bundle", "type": .string("\(kind)-response"), "entry": .array(answers)])
    }

    /// Two entries of one transaction that could both create what one condition describes are an error of the sender's.
    private func checkConditions(_ entries: [JSON]) throws(ReceiverError) {
        var seen: Set<String> = []
        for (index, entry) in entries.enumerated() {
            guard let condition = entry["request"]?["ifNoneExist"]?.string, let url = entry["request"]?["url"]?.string,
                !seen.insert("\(url)?\(condition)").inserted
            else { continue }
            throw ReceiverError(400, "duplicate", "two entries with one condition", expression: "Bundle.entry[\(index)]")
        }
    }

    private mutating func plan(_ entry: JSON, avoiding planned: inout Set<Key>) throws(ReceiverError) -> Plan {
        guard let method = entry["request"]?["method"]?.string, let url = entry["request"]?["url"]?.string else {
            throw ReceiverError(400, "required", "an entry needs request.method and request.url")
        }
        let path = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let steps = path[0].split(separator: "/").map(String.init)
        switch (method, steps.count) {
        case ("POST", 1):
            guard let resource = entry["resource"] else { throw ReceiverError(400, "required", "an entry without resource") }
            try ReceiverCheck.resource(resource, as: steps[0])
            if let condition = entry["request"]?["ifNoneExist"]?.string, let match = try conditionalMatch(steps[0], condition) {
                return Plan(step: .existing(match))
            }
            return Plan(step: .create(newKey(steps[0])), resource: resource)
        case ("PUT", 2):
            guard let resource = entry["resource"] else { throw ReceiverError(400, "required", "an entry without resource") }
            let key = Key(type: steps[0], id: steps[1])
            try ReceiverCheck.resource(resource, as: key.type)
            guard resource["id"]?.string == key.id else {
                throw ReceiverError(400, "invalid", "the id is not the one in the URL")
            }
            try checkVersion(key, entry["request"]?["ifMatch"]?.string)
            guard planned.insert(key).inserted else { throw ReceiverError(400, "duplicate", "two entries write one resource") }
            return Plan(step: .update(key), resource: resource)
        case ("GET", 1): return Plan(step: .read(searchset(steps[0], try ReceiverQuery(path.count > 1 ? path[1] : ""))))
        case ("GET", 2): return Plan(step: .read(try read(Key(type: steps[0], id: steps[1]))))
        default: throw ReceiverError(400, "not-supported", "\(method) in a Bundle")
        }
    }

    private mutating func carryOut(_ plan: Plan, at time: String) -> ReceiverAnswer {
        switch plan.step {
        case .create(let key):
            put(key, plan.resource ?? [:], at: time)
            return answer(201, key)
        case .update(let key):
            let isNew = resources[key] == nil
            put(key, plan.resource ?? [:], at: time)
            return answer(isNew ? 201 : 200, key)
        case .existing(let key): return answer(200, key)
        case .read(let answer): return answer
        case .refused(let error): return error.answer
        }
    }

    private static func entry(_ answer: ReceiverAnswer, withResource: Bool) -> JSON {
        var response: [JSON.Member] = [JSON.Member("status", .string(receiverStatusText(answer.status)))]
        for (name, value) in answer.headers { response.append(JSON.Member(name, .string(value))) }
        if answer.status >= 400, let outcome = answer.body { response.append(JSON.Member("outcome", outcome)) }
        return .members([
            "resource": answer.status < 400 && withResource ? answer.body : nil, "response": .object(response),
        ])
    }

    /// Entries refer to each other by fullUrl, to the store by a search (`Patient?identifier=...`); both become `Type/id`.
    private func resolve(_ value: JSON, _ references: [String: String]) throws(ReceiverError) -> JSON {
        switch value {
        case .object(let members):
            var changed: [JSON.Member] = []
            changed.reserveCapacity(members.count)
            for member in members {
                if member.key == "reference", let text = member.value.string {
                    changed.append(JSON.Member("reference", .string(try resolve(reference: text, references))))
                } else {
                    changed.append(JSON.Member(member.key, try resolve(member.value, references)))
                }
            }
            return .object(changed)
        case .array(let elements):
            var changed: [JSON] = []
            for element in elements { changed.append(try resolve(element, references)) }
            return .array(changed)
        default: return value
        }
    }

    private func resolve(reference: String, _ references: [String: String]) throws(ReceiverError) -> String {
        if let known = references[reference] { return known }
        if reference.hasPrefix("urn:") { throw ReceiverError(400, "not-found", "a reference to no entry of this Bundle") }
        let parts = reference.split(separator: "?", maxSplits: 1)
        guard parts.count == 2, !reference.contains("://") else { return reference }
        guard let match = try conditionalMatch(String(parts[0]), String(parts[1])) else {
            throw ReceiverError(412, "not-found", "a conditional reference matches nothing")
        }
        return match.reference
    }
}
