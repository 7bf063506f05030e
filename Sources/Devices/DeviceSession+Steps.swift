import Catalogue
import Protocols
import Vitals

// What we ask of the device, one step after the other.

extension DeviceSession {
    /// Begins the next step that has anything to do; after the last one only the device speaks.
    mutating func proceed(at now: ClockReading) {
        while !plan.isEmpty {
            let step = plan.removeFirst()
            if start(step, at: now) { return }
            if case .ended = state { return }
        }
        lastActivity = max(lastActivity, now.monotonic)
        state = .collecting
    }

    /// Returns whether something is under way now.
    private mutating func start(_ step: Step, at now: ClockReading) -> Bool {
        switch step {
        case .exchangeMTU:
            state = .stepping(step, .mtu)
            if hasAskedMTU { request = client.adoptMTURequest(at: now.monotonic) } else { submit(.exchangeMTU, at: now) }
            return true
        case .checkMap:
            guard map?.databaseHash != nil, let hash = map?.characteristic(.databaseHash) else { return false }
            state = .stepping(step, .checkMap)
            submit(.read(handle: hash.value), at: now)
            return true
        case .discover:
            state = .stepping(step, .discovery)
            submit(.discover, at: now)
            return true
        case .enrol:
            guard !isEnrolled else { return false }
            state = .awaitingEnrolment
            return true
        case .model(.identity): return startIdentity(at: now)
        case .model(.subscribe):
            resultsSubscribed = 0
            securityRefusal = nil
            return subscribeNext(subscriptions, at: now)
        case .model(.clock): return startClock(at: now)
        case .model(.battery):
            guard let battery = readable(.batteryLevel) else { return false }
            state = .stepping(step, .battery)
            submit(.read(handle: battery.value), at: now)
            return true
        case .model(.records):
            guard model.records == .racp else { return false }
            return startRecords(.reporting, step: step, at: now)
        case .model(.commands): return commandNext(model.session.commands[...], at: now)
        }
    }

    /// The answer to the request of the stage under way.
    mutating func answered(_ result: Result<ATTClient.Reply, ATTFailure>, at now: ClockReading) {
        guard case .stepping(let step, let stage) = state else { return }
        if case .failure(.timedOut) = result { return end(.timeout) }
        if case .failure(.refused(let code, _)) = result, code.isStaleHandle, mapIsKept {
            forgetMap(.handleUnknown)
            plan = [.discover, step] + plan
            return proceed(at: now)
        }
        switch stage {
        case .mtu:
            if case .success(.mtu(let mtu)) = result { actions.append(.note(.mtu(mtu))) } else { fail(.mtu, result) }
            guard hasAskedMTU else { return proceed(at: now) }
            hasAskedMTU = false
            settle(at: now)
        case .checkMap:
            if case .success(.value(let hash)) = result, hash != map?.databaseHash {
                forgetMap(.hashDiffers)
                plan = [.discover] + plan
            }
            proceed(at: now)
        case .discovery: discovered(result, at: now)
        case .identity(let type, let remaining):
            if case .success(.value(let value)) = result {
                if type == profile.feature, let number = type.assignedNumber {
                    actions.append(.note(.features(characteristic: number, value)))
                } else {
                    DeviceInformation.add(value, of: type, to: &identity)
                }
            } else {
                fail(.identity(type), result)
            }
            if !readIdentity(remaining, at: now) { proceed(at: now) }
        case .subscribing(let characteristic, let remaining):
            subscribed(to: characteristic, result)
            if !subscribeNext(remaining, at: now), !hasEnded { proceed(at: now) }
        case .readingClock(let face): clockRead(face, result, at: now)
        case .writingClock(let before, let after, let then):
            switch result {
            // "Data field ignored": the time was taken, a field of it was not (day of week, fractions).
            case .success, .failure(.refused(.dataFieldIgnored, _)):
                actions.append(.clockSet(before: before, after: after, at: then))
            case .failure: fail(.clockWrite, result)
            }
            proceed(at: now)
        case .battery:
            if case .success(.value(let value)) = result, let percent = value.first {
                actions.append(.battery(Int(percent)))
            } else {
                fail(.battery, result)
            }
            proceed(at: now)
        case .commanding(let type, let remaining):
            fail(.command(type), result)
            if !commandNext(remaining[...], at: now) { proceed(at: now) }
        case .records(let records, _, let since):
            if case .failure = result {
                fail(records == .reporting ? .records : .delete, result)
                closeRecords()
                return proceed(at: now)
            }
            state = .stepping(step, .records(records, isWritten: true, since: max(since, now.monotonic)))
        case .committingRecords: break
        }
    }

    private var hasEnded: Bool { if case .ended = state { true } else { false } }

    /// A failed step, for the log; a success says nothing.
    private mutating func fail(_ procedure: SessionNote.Procedure, _ result: Result<ATTClient.Reply, ATTFailure>) {
        if case .failure(let failure) = result { actions.append(.note(.failed(procedure, failure))) }
    }

    private func readable(_ type: BluetoothUUID, in service: BluetoothUUID? = nil) -> HandleMap.Characteristic? {
        guard let found = map?.characteristic(type, in: service), found.properties.contains(.read) else { return nil }
        return found
    }

    // MARK: Discovery

    private mutating func discovered(_ result: Result<ATTClient.Reply, ATTFailure>, at now: ClockReading) {
        switch result {
        case .success(.map(let found)):
            map = found
            mapIsKept = false
            actions += [.note(.discovered(services: found.services.count)), .handleMap(found.bytes)]
            guard profile.sources.contains(where: { found.characteristic($0.characteristic) != nil }) else {
                return end(.protocolError(.noDataCharacteristic))
            }
            takeWaiting()
            if !hasEnded { proceed(at: now) }
        case .success: end(.protocolError(.discovery(.badResponse)))
        case .failure(.refused(let code, _)) where code.isSecurity: end(.protocolError(.insecure(code)))
        case .failure(let failure): end(.protocolError(.discovery(failure)))
        }
    }

    // MARK: Identity

    private mutating func startIdentity(at now: ClockReading) -> Bool {
        var wanted = DeviceInformation.characteristics.compactMap { readable($0, in: .deviceInformation) }
        if let feature = readable(profile.feature) { wanted.append(feature) }
        return readIdentity(wanted, at: now)
    }

    private mutating func readIdentity(_ wanted: [HandleMap.Characteristic], at now: ClockReading) -> Bool {
        guard let next = wanted.first else {
            actions.append(.identity(identity))
            return false
        }
        state = .stepping(.model(.identity), .identity(next.type, remaining: Array(wanted.dropFirst())))
        submit(.read(handle: next.value), at: now)
        return true
    }

    // MARK: Subscriptions

    /// Data first, then the control point, then changes of the attributes themselves.
    private var subscriptions: [HandleMap.Characteristic] {
        var types = profile.sources.map(\.characteristic)
        if model.records == .racp { types.append(.recordAccessControlPoint) }
        return (types + [.serviceChanged]).compactMap { map?.characteristic($0) }.filter { $0.configuration != nil }
    }

    private mutating func subscribeNext(_ wanted: [HandleMap.Characteristic], at now: ClockReading) -> Bool {
        guard let next = wanted.first, let configuration = next.configuration else {
            if resultsSubscribed == 0, let code = securityRefusal { end(.protocolError(.insecure(code))) }
            return false
        }
        let prefersIndication = profile.sources.first { $0.characteristic == next.type }?.indicates ?? true
        let canIndicate = next.properties.contains(.indicate)
        let indicates = canIndicate && (prefersIndication || !next.properties.contains(.notify))
        state = .stepping(.model(.subscribe), .subscribing(next, remaining: Array(wanted.dropFirst())))
        submit(.write(handle: configuration, value: [indicates ? 0x02 : 0x01, 0x00]), at: now)
        return true
    }

    private mutating func subscribed(to characteristic: HandleMap.Characteristic, _ result: Result<ATTClient.Reply, ATTFailure>) {
        switch result {
        case .success:
            actions.append(.note(.subscribed(characteristic.type)))
            if [.result, .sample].contains(profile.role(of: characteristic.type)) { resultsSubscribed += 1 }
        case .failure(let failure):
            actions.append(.note(.failed(.subscribe(characteristic.type), failure)))
            if case .refused(let code, _) = failure, code.isSecurity { securityRefusal = code }
        }
    }

    // MARK: Clock

    /// The characteristic that the model names, in the driver's own service before any other; or the other form of a clock where
    /// the device has only that.
    private func clock(_ number: UInt16?) -> HandleMap.Characteristic? {
        guard let number else { return nil }
        let named = BluetoothUUID.short(number)
        let other: BluetoothUUID = named == .currentTime ? .dateTime : .currentTime
        return map?.characteristic(named, in: profile.service) ?? map?.characteristic(named) ?? map?.characteristic(
            other, in: profile.service)
            ?? map?.characteristic(other)
    }

    private mutating func startClock(at now: ClockReading) -> Bool {
        if let read = clock(model.clock.read), read.properties.contains(.read) {
            let face = ClockFace(characteristic: read.type)
            state = .stepping(.model(.clock), .readingClock(face))
            submit(.read(handle: read.value), at: now)
            return true
        }
        if let number = model.clock.read { actions.append(.note(.absent(.short(number)))) }
        return writeClock(before: nil, isKnownWrong: model.clock.read == nil, at: now)
    }

    private mutating func clockRead(_ face: ClockFace, _ result: Result<ATTClient.Reply, ATTFailure>, at now: ClockReading) {
        var face = face
        var before: LocalDateTime?
        var isKnownWrong = false
        if case .success(.value(let value)) = result {
            before = face.time(in: value)
            actions.append(.clockRead(device: before, at: now))
            let hub = now.localFace.secondsSince1970
            isKnownWrong = before.map { abs($0.secondsSince1970 - hub) > ClockFace.tolerance } ?? true
        } else {
            fail(.clockRead, result)
        }
        if !writeClock(before: before, isKnownWrong: isKnownWrong, isShort: face.isShort, at: now) { proceed(at: now) }
    }

    /// Sets the clock to the hub's local time, where the model wants it and the hub knows the time (R5).
    private mutating func writeClock(
        before: LocalDateTime?, isKnownWrong: Bool, isShort: Bool = false, at now: ClockReading
    ) -> Bool {
        guard let target = clock(model.clock.write), model.clock.writesOnEveryConnect || isKnownWrong else { return false }
        guard mayWriteClock, now.isSynchronised else {
            actions.append(.note(.clockNotSetUnsynchronised))
            return false
        }
        let face = ClockFace(characteristic: target.type, isShort: isShort)
        let after = now.localFace
        state = .stepping(.model(.clock), .writingClock(before: before, after: after, at: now))
        submit(.write(handle: target.value, value: face.value(for: after)), at: now)
        return true
    }

    // MARK: Vendor commands

    /// Only what the model's entry lists is ever written: commands of some makers inflate the cuff or delete its memory.
    private mutating func commandNext(_ commands: ArraySlice<Model.Session.Command>, at now: ClockReading) -> Bool {
        guard let next = commands.first else { return false }
        guard let type = BluetoothUUID(next.characteristic), let target = map?.characteristic(type) else {
            if let type = BluetoothUUID(next.characteristic) { actions.append(.note(.absent(type))) }
            return commandNext(commands.dropFirst(), at: now)
        }
        guard target.properties.contains(.write) else {
            actions.append(.send(ATTPDU.writeCommand(handle: target.value, value: next.bytes).bytes))
            return commandNext(commands.dropFirst(), at: now)
        }
        state = .stepping(.model(.commands), .commanding(type, remaining: Array(commands.dropFirst())))
        submit(.write(handle: target.value, value: next.bytes), at: now)
        return true
    }
}
