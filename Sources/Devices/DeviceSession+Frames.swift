import Catalogue
import Protocols
import Vitals

// What the device sends by itself: data, answers of the control point, changes of its attributes.

extension DeviceSession {
    mutating func receiveValue(_ value: Waiting) {
        // A frame needs its characteristic, and a reading its device's key.
        guard map != nil, isEnrolled else {
            waiting.append(value)
            if waiting.count > Self.longestWait { end(.protocolError(.flood)) }
            return
        }
        take(value)
    }

    /// What came before it could be understood, once it can.
    mutating func takeWaiting() {
        guard map != nil, isEnrolled else { return }
        let values = waiting
        waiting.removeAll()
        for value in values { receiveValue(value) }
    }

    private mutating func take(_ value: Waiting) {
        let type = map?.characteristic(at: value.handle)?.type
        switch type {
        case .some(.serviceChanged): serviceChanged(value)
        case .some(.recordAccessControlPoint): receiveAnswer(value)
        case .some(.batteryLevel):
            if let percent = value.value.first { actions.append(.battery(Int(percent))) }
            if let id = value.indication { perform(client.confirm(id, at: value.at.monotonic), at: value.at) }
        default:
            let role = type.map(profile.role) ?? .unrecognized
            if role == .unrecognized { actions.append(.note(.unrecognized(handle: value.handle))) }
            let source = Frame.Source.gatt(characteristic: type?.assignedNumber ?? 0, handle: value.handle)
            take(Frame(source: source, bytes: value.value, received: value.at), role, value.indication)
        }
    }

    private mutating func take(_ frame: Frame, _ role: FrameRole, _ indication: ATTClient.IndicationID?) {
        lastActivity = max(lastActivity, frame.received.monotonic)
        if case .stepping(let step, .records(.reporting, let isWritten, _)) = state {
            state = .stepping(step, .records(.reporting, isWritten: isWritten, since: frame.received.monotonic))
        }
        switch role {
        case .result:
            readings += 1
            readingsOfTransfer += 1
            transferIsOpen = true
        case .sample:
            transferIsOpen = true
            if takeSample(frame), indication == nil { return }
        case .intermediate, .unrecognized: break
        }
        let token = nextToken()
        pending[token] = Pending(role: role, indication: indication)
        if let indication { tokens[indication] = token }
        actions.append(.store(token, frame, role: role))
    }

    private mutating func nextToken() -> FrameToken {
        lastToken += 1
        return FrameToken(rawValue: lastToken)
    }

    /// Adds to the stream, which is handed up as a whole; `false` where the model has no rule for one.
    private mutating func takeSample(_ frame: Frame) -> Bool {
        guard let rule = model.stream else { return false }
        var window = stream ?? StreamWindow(rule: rule)
        let hasEnded = window.take(frame, try? FrameDecoder.measurement(frame.source, frame.bytes))
        stream = window
        if hasEnded, window.hasReading { closeStream() }
        return true
    }

    mutating func closeStream() {
        guard let reading = stream?.reading() else { return }
        stream = nil
        if reading.measurement != nil {
            readings += 1
            readingsOfTransfer += 1
        }
        let token = nextToken()
        pending[token] = Pending(role: .result)
        actions.append(.storeStream(token, reading))
    }

    private mutating func serviceChanged(_ value: Waiting) {
        if let id = value.indication { perform(client.confirm(id, at: value.at.monotonic), at: value.at) }
        forgetMap(.serviceChanged)
        plan = [.discover, .model(.subscribe)] + plan
        if case .collecting = state { proceed(at: value.at) }
    }

    /// The kept map is of no use any more: discovery comes next.
    mutating func forgetMap(_ why: SessionNote.Staleness) {
        map = nil
        mapIsKept = false
        actions += [.note(.handleMapStale(why)), .handleMap([])]
    }

    // MARK: Record Access Control Point

    /// Asks for all stored records; their data and the answer come as indications.
    mutating func startRecords(_ stage: RecordsStage, step: Step, at now: ClockReading) -> Bool {
        guard let point = map?.characteristic(.recordAccessControlPoint) else {
            actions.append(.note(.absent(.recordAccessControlPoint)))
            return false
        }
        let operation =
            switch stage {
            case .reporting: RecordAccess.reportAll
            case .counting: RecordAccess.countAll
            case .deleting: RecordAccess.deleteAll
            }
        state = .stepping(step, .records(stage, isWritten: false, since: now.monotonic))
        submit(.write(handle: point.value, value: operation.encoded), at: now)
        return true
    }

    private mutating func receiveAnswer(_ value: Waiting) {
        lastActivity = max(lastActivity, value.at.monotonic)
        if let id = value.indication {
            // It says that the transfer is whole: the word on that waits for the last of its frames.
            if pending.isEmpty {
                perform(client.confirm(id, at: value.at.monotonic), at: value.at)
            } else {
                heldAnswers.append(id)
            }
        }
        let response = try? RecordAccess(decoding: value.value)
        if case .response(_, let outcome) = response { actions.append(.note(.records(outcome))) }
        guard case .stepping(let step, .records(let stage, _, _)) = state else { return }
        // The answer may overtake the Write Response; that one is then of no interest.
        request = nil
        switch (stage, response) {
        case (.reporting, .response(_, let outcome)):
            // Deleting is off unless the programme's entry says that the delete is the word, and then only what is committed is
            // deleted.
            if model.acknowledges == .command, outcome == .success, readingsOfTransfer > 0 {
                state = .stepping(step, .committingRecords)
                if pending.isEmpty { countRecords(at: value.at) }
                return
            }
            closeRecords()
            hadTransfer = true
        case (.counting, .count(UInt32(readingsOfTransfer), _)):
            if startRecords(.deleting, step: step, at: value.at) { return }
        case (.deleting, .response(_, .success)):
            actions += awaitingWord.map(SessionAction.confirmed)
            awaitingWord.removeAll()
            closeRecords()
        case (.counting, _):
            // A record that came into the memory in between would be lost with the others.
            actions.append(.note(.deleteWithheld))
            closeRecords()
        default: closeRecords()
        }
        proceed(at: value.at)
    }

    mutating func countRecords(at now: ClockReading) {
        if !startRecords(.counting, step: .model(.records), at: now) { proceed(at: now) }
    }
}
