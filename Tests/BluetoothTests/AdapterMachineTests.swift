import Bluetooth
import Protocols
import Testing
import Vitals

/// What the adapter is told, against a kernel that answers as scripted. The real one is in the radio rig.
@Suite struct AdapterMachineTests {
    let cuff: DeviceAddress
    let stranger: DeviceAddress
    let key: Key128

    init() throws {
        cuff = try #require(DeviceAddress("F0:0D:00:00:00:01/random"))
        stranger = try #require(DeviceAddress("C0:FF:EE:00:00:02/random"))
        key = try #require(Key128(Array(repeating: 0x5A, count: 16)))
    }

    private func keys(_ type: LongTermKey.KeyType = .unauthenticatedP256) -> BondKeys {
        BondKeys(longTermKeys: [LongTermKey(address: cuff, keyType: type, isCentral: false, value: key)])
    }

    private func known(adapter: String? = "00:AA:01:00:00:42", keys: BondKeys? = nil) -> KnownDevice {
        KnownDevice(
            address: cuff, keys: keys ?? self.keys(), adapter: adapter, demands: .encrypted, cooldown: .seconds(15))
    }

    private func ready(_ devices: [KnownDevice] = []) -> ScriptedKernel {
        var kernel = ScriptedKernel()
        kernel.take(kernel.machine.serve(devices, at: kernel.now))
        kernel.start()
        return kernel
    }

    // MARK: Setting up

    @Test func keysAreLoadedBeforePower() throws {
        var kernel = ready([known()])
        let power = try #require(kernel.sent.firstIndex(of: .setPowered(0, true)))
        for opcode in [
            ManagementOpcode.loadIdentityResolvingKeys, .loadLongTermKeys, .loadLinkKeys, .setBondable, .setIOCapability,
        ] {
            let index = try #require(kernel.opcodes.firstIndex(of: opcode), "\(opcode)")
            #expect(index < power, "\(opcode)")
        }
        #expect(kernel.sent.contains(.loadLongTermKeys(0, keys().longTermKeys)))
        #expect(kernel.sent.contains(.setBondable(0, false)))
        #expect(kernel.reports.contains(.ready))
        #expect(kernel.sent.last == .addDevice(0, cuff, action: .autoConnect))
        // Nothing of it is asked twice.
        kernel.pass(.seconds(60))
        #expect(kernel.opcodes.count { $0 == .addDevice } == 1)
    }

    @Test func emptyKeyListsAreLoadedToo() {
        let kernel = ready()
        #expect(kernel.sent.contains(.loadIdentityResolvingKeys(0, [])))
        #expect(kernel.sent.contains(.loadLongTermKeys(0, [])))
    }

    @Test func anInheritedPowerIsTakenFirst() throws {
        var kernel = ScriptedKernel()
        kernel.current = [.powered, .lowEnergy]
        kernel.start()
        let off = try #require(kernel.sent.firstIndex(of: .setPowered(0, false)))
        let on = try #require(kernel.sent.firstIndex(of: .setPowered(0, true)))
        #expect(off < on)
        #expect(off == 1)
    }

    @Test func anAdapterOfLEAloneWorks() {
        var kernel = ScriptedKernel()
        kernel.supported = [.powered, .lowEnergy]
        kernel.start()
        #expect(kernel.reports.contains(.ready))
        #expect(!kernel.opcodes.contains(.setBREDR))
    }

    @Test func whatItCanDoWithoutIsReported() {
        var kernel = ScriptedKernel()
        kernel.refusals = [.setBREDR: .notSupported]
        kernel.start()
        #expect(kernel.reports.contains(.lacks(.setBREDR, .notSupported)))
        #expect(kernel.machine.isReady)
    }

    @Test func aRefusedPowerIsUnusable() {
        var kernel = ScriptedKernel()
        kernel.refusals = [.setPowered: .rfkilled]
        kernel.start()
        #expect(kernel.reports == [.unusable(.setPowered, .rfkilled)])
        #expect(!kernel.machine.isReady)
    }

    @Test func noAnswerInTenSecondsIsReported() {
        var kernel = ScriptedKernel()
        kernel.silent = [.setPowered]
        kernel.start()
        kernel.pass(.milliseconds(9_999))
        #expect(kernel.reports.isEmpty)
        kernel.pass(.milliseconds(1))
        #expect(kernel.reports == [.unanswered(.setPowered)])
        kernel.silent = [.pair]
        kernel.start()
        #expect(kernel.machine.isReady)
    }

    @Test func anotherHubsAdapterIsLeftAlone() {
        var kernel = ScriptedKernel(allowed: ["00:00:00:00:00:01"])
        kernel.start()
        #expect(kernel.opcodes == [.readControllerInfo])
        #expect(!kernel.machine.isReady)
    }

    @Test func keysOfAnotherAdapterAreLeftOut() {
        let kernel = ready([known(adapter: "00:AA:01:00:00:43")])
        #expect(kernel.sent.contains(.loadLongTermKeys(0, [])))
        #expect(!kernel.opcodes.contains(.addDevice))
        #expect(kernel.machine.policy(for: cuff) == .refuse)
    }

    @Test func lostPowerIsReportedAndSetUpAgain() {
        var kernel = ready([known()])
        kernel.forget()
        kernel.tell(.newSettings(index: 0, [.lowEnergy]))
        #expect(kernel.reports == [.poweredOff])
        kernel.forget()
        kernel.start()
        #expect(kernel.opcodes.contains(.addDevice))
        #expect(kernel.reports == [.ready])
    }

    // MARK: Links

    @Test func policies() {
        var kernel = ready([known()])
        #expect(kernel.machine.policy(for: cuff) == .secure(.encrypted))
        #expect(kernel.machine.policy(for: stranger) == .refuse)
        kernel.take(kernel.machine.serve([known(keys: keys(.authenticatedP256))], at: kernel.now))
        #expect(kernel.machine.policy(for: cuff) == .secure(.authenticated))
        kernel.take(kernel.machine.serve([known(adapter: nil, keys: BondKeys())], at: kernel.now))
        #expect(kernel.machine.policy(for: cuff) == .refuse)
        var open = known(adapter: nil, keys: BondKeys())
        open.demands = .none
        kernel.take(kernel.machine.serve([open], at: kernel.now))
        #expect(kernel.machine.policy(for: cuff) == .open)
    }

    @Test func aStrangersLinkIsEnded() {
        var kernel = ready()
        kernel.forget()
        kernel.tell(.deviceConnected(index: 0, stranger, flags: 0, data: []))
        #expect(kernel.sent == [.disconnect(0, stranger)])
    }

    @Test func afterASessionTheDeviceRests() {
        var kernel = ready([known()])
        kernel.tell(.deviceConnected(index: 0, cuff, flags: 0, data: []))
        kernel.take(kernel.machine.sessionBegan(cuff, connection: kernel.machine.connection(of: cuff), at: kernel.now))
        kernel.forget()
        kernel.take(kernel.machine.sessionEnded(cuff, connection: kernel.machine.connection(of: cuff), at: kernel.now))
        #expect(Set(kernel.sent) == [.addDevice(0, cuff, action: .scan), .disconnect(0, cuff)])
        kernel.tell(.deviceDisconnected(index: 0, cuff, .localHost))
        kernel.pass(.milliseconds(14_999))
        #expect(!kernel.sent.contains(.addDevice(0, cuff, action: .autoConnect)))
        kernel.pass(.milliseconds(1))
        #expect(kernel.sent.last == .addDevice(0, cuff, action: .autoConnect))
    }

    @Test func aDeviceThatIsBackAtOnceKeepsItsNewLink() {
        var kernel = ready([known()])
        kernel.tell(.deviceConnected(index: 0, cuff, flags: 0, data: []))
        let first = kernel.machine.connection(of: cuff)
        kernel.take(kernel.machine.sessionBegan(cuff, connection: first, at: kernel.now))
        kernel.tell(.deviceDisconnected(index: 0, cuff, .remote))
        kernel.tell(.deviceConnected(index: 0, cuff, flags: 0, data: []))
        let second = kernel.machine.connection(of: cuff)
        #expect(first != second)
        kernel.forget()
        // The session of the first link ends late: the second is not touched, nor its device listed meanwhile.
        kernel.take(kernel.machine.sessionEnded(cuff, connection: first, at: kernel.now))
        kernel.take(kernel.machine.sessionBegan(cuff, connection: second, at: kernel.now))
        kernel.pass(.seconds(60))
        #expect(!kernel.opcodes.contains(.disconnect) && !kernel.sent.contains(.addDevice(0, cuff, action: .autoConnect)))
        kernel.tell(.deviceDisconnected(index: 0, cuff, .remote))
        kernel.take(kernel.machine.sessionEnded(cuff, connection: second, at: kernel.now))
        kernel.pass(.seconds(15))
        #expect(kernel.sent.last == .addDevice(0, cuff, action: .autoConnect))
    }

    @Test func r9_heldDevicesAreNotConnected() {
        var kernel = ready([known()])
        kernel.forget()
        kernel.take(kernel.machine.hold(true, at: kernel.now))
        #expect(kernel.sent == [.addDevice(0, cuff, action: .scan)])
        kernel.pass(.seconds(60))
        #expect(!kernel.sent.contains(.addDevice(0, cuff, action: .autoConnect)))
        kernel.take(kernel.machine.hold(false, at: kernel.now))
        #expect(kernel.sent.last == .addDevice(0, cuff, action: .autoConnect))
    }

    @Test func r10_aDeviceIsNotRemovedWhileAConnectToItMayBeInTheMaking() {
        var kernel = ready([known()])
        kernel.forget()
        kernel.take(kernel.machine.serve([], at: kernel.now))
        #expect(kernel.sent.first == .addDevice(0, cuff, action: .scan))
        #expect(!kernel.opcodes.contains(.removeDevice) && !kernel.opcodes.contains(.unpair))
        #expect(kernel.machine.policy(for: cuff) == .refuse)
        // The connect that was in the making comes about: it is ended as a stranger's.
        kernel.tell(.deviceConnected(index: 0, cuff, flags: 0, data: []))
        #expect(kernel.sent.last == .disconnect(0, cuff))
        kernel.forget()
        kernel.pass(.milliseconds(4_999))
        #expect(kernel.sent.isEmpty)
        kernel.pass(.milliseconds(1))
        #expect(kernel.sent == [.removeDevice(0, cuff), .unpair(0, cuff, disconnect: true)])
    }

    @Test func aForgottenDeviceIsNotTakenFromUnderItsNewPairing() {
        var kernel = ready([known()])
        kernel.take(kernel.machine.serve([], at: kernel.now))
        kernel.take(kernel.machine.pair(.init(address: cuff, ioCapability: .noInputNoOutput), at: kernel.now))
        kernel.forget()
        kernel.pass(.seconds(30))
        #expect(!kernel.opcodes.contains(.removeDevice) && !kernel.opcodes.contains(.unpair))
        kernel.take(kernel.machine.bondStored(known(), at: kernel.now))
        kernel.pass(.seconds(3_600))
        #expect(!kernel.opcodes.contains(.removeDevice) && !kernel.opcodes.contains(.unpair))
    }

    @Test func noTimeIsAskedForThatIsOverAndChangesNothing() throws {
        func rested(_ device: KnownDevice) -> ScriptedKernel {
            var kernel = ready([device])
            kernel.tell(.deviceConnected(index: 0, device.address, flags: 0, data: []))
            kernel.tell(.deviceDisconnected(index: 0, device.address, .remote))
            return kernel
        }
        // Held while its rest runs out.
        var kernel = rested(known())
        kernel.take(kernel.machine.hold(true, at: kernel.now))
        kernel.forget()
        kernel.pass(.seconds(60))
        #expect(kernel.wake == nil)
        // Another is paired meanwhile, and one that left waits for its removal.
        kernel = rested(known())
        kernel.take(kernel.machine.pair(.init(address: stranger, ioCapability: .noInputNoOutput), at: kernel.now))
        kernel.take(kernel.machine.serve([], at: kernel.now))
        kernel.forget()
        kernel.pass(.seconds(30))
        #expect(try #require(kernel.wake) > kernel.now)
        // Classic is dialled, not listed.
        var oximeter = known()
        oximeter.address = try #require(DeviceAddress("00:1C:05:00:00:09/classic"))
        kernel = rested(oximeter)
        kernel.forget()
        kernel.pass(.seconds(60))
        #expect(kernel.wake == nil)
    }

    @Test func aDeviceThatComesBackBeforeItWasRemovedStays() {
        var kernel = ready([known()])
        kernel.take(kernel.machine.serve([], at: kernel.now))
        kernel.forget()
        kernel.take(kernel.machine.serve([known()], at: kernel.now))
        #expect(kernel.sent.contains(.addDevice(0, cuff, action: .autoConnect)))
        kernel.pass(.seconds(3_600))
        #expect(!kernel.opcodes.contains(.removeDevice) && !kernel.opcodes.contains(.unpair))
    }

    @Test func whatAnEarlierProcessListedIsGoneBeforeThereIsPower() throws {
        let kernel = ready([known()])
        let removal = try #require(kernel.sent.firstIndex(of: .removeDevice(0, nil)))
        let power = try #require(kernel.sent.firstIndex(of: .setPowered(0, true)))
        #expect(removal < power)
    }

    @Test func twoRefusedKeysAreALostBond() {
        var kernel = ready([known()])
        kernel.forget()
        for _ in 1...2 {
            kernel.tell(.deviceConnected(index: 0, cuff, flags: 0, data: []))
            // The kernel may tell of one failure twice.
            kernel.tell(.authFailed(index: 0, cuff, .authenticationFailed))
            kernel.tell(.deviceDisconnected(index: 0, cuff, .authenticationFailure))
        }
        #expect(
            kernel.reports.filter { if case .keyRefused = $0 { true } else if case .bondLost = $0 { true } else { false } }
                == [.keyRefused(cuff), .bondLost(cuff)])
        #expect(kernel.sent == [.addDevice(0, cuff, action: .scan)])
        #expect(kernel.machine.policy(for: cuff) == .refuse)
        // Never a new pairing by itself, never connected again.
        kernel.pass(.seconds(3_600))
        #expect(!kernel.sent.contains(.addDevice(0, cuff, action: .autoConnect)) && !kernel.opcodes.contains(.pair))
    }

    @Test func aSessionInBetweenForgivesARefusedKey() {
        var kernel = ready([known()])
        kernel.tell(.deviceConnected(index: 0, cuff, flags: 0, data: []))
        kernel.tell(.deviceDisconnected(index: 0, cuff, .authenticationFailure))
        kernel.take(kernel.machine.sessionBegan(cuff, connection: kernel.machine.connection(of: cuff), at: kernel.now))
        kernel.tell(.deviceConnected(index: 0, cuff, flags: 0, data: []))
        kernel.tell(.deviceDisconnected(index: 0, cuff, .authenticationFailure))
        #expect(!kernel.reports.contains(.bondLost(cuff)))
    }

    // MARK: Pairing

    private func pairing(_ io: IOCapability = .noInputNoOutput, passkey: UInt32? = nil) -> ScriptedKernel {
        var kernel = ready()
        kernel.forget()
        let plan = PairingWindow.Plan(address: cuff, ioCapability: io, passkey: passkey)
        kernel.take(kernel.machine.pair(plan, at: kernel.now))
        return kernel
    }

    @Test func justWorks() throws {
        var kernel = pairing()
        #expect(
            kernel.sent == [
                .unpair(0, cuff, disconnect: true), .setBondable(0, true), .setIOCapability(0, .noInputNoOutput),
                .pair(0, cuff, .noInputNoOutput),
            ])
        #expect(kernel.machine.policy(for: cuff) == .pairing)
        kernel.tell(.deviceConnected(index: 0, cuff, flags: 0, data: []))
        kernel.forget()
        kernel.tell(.userConfirmRequest(index: 0, cuff, isHint: true, value: 0))
        #expect(kernel.sent == [.confirmReply(0, cuff, accept: true)])
        let ltk = try #require(keys().longTermKeys.first)
        kernel.tell(.newLongTermKey(index: 0, isStored: true, ltk))
        kernel.tell(.commandComplete(index: 0, opcode: ManagementOpcode.pair.rawValue, status: .success, parameters: []))
        #expect(kernel.reports.last == .pairing(.store(identity: cuff, keys())))
        // Until the bond is durable nothing of the link is used.
        #expect(kernel.machine.policy(for: cuff) == .pairing)
        kernel.forget()
        kernel.take(kernel.machine.bondStored(known(), at: kernel.now))
        #expect(kernel.sent == [.setBondable(0, false), .setIOCapability(0, .noInputNoOutput)])
        #expect(kernel.machine.policy(for: cuff) == .secure(.encrypted))
    }

    @Test func thePrivateAddressBecomesTheIdentity() throws {
        let identity = try #require(DeviceAddress("F0:0D:00:00:00:07/public"))
        var kernel = pairing()
        let irk = IdentityResolvingKey(address: identity, value: key)
        let ltk = LongTermKey(address: identity, keyType: .unauthenticatedP256, isCentral: false, value: key)
        kernel.tell(.newIdentityResolvingKey(index: 0, isStored: true, randomAddress: cuff, irk))
        kernel.tell(.newLongTermKey(index: 0, isStored: true, ltk))
        kernel.tell(.commandComplete(index: 0, opcode: ManagementOpcode.pair.rawValue, status: .success, parameters: []))
        #expect(
            kernel.reports.last
                == .pairing(.store(identity: identity, BondKeys(longTermKeys: [ltk], identityResolvingKey: irk))))
    }

    @Test func passkeys() {
        var typed = pairing(.keyboardOnly, passkey: 123_456)
        typed.forget()
        typed.tell(.userPasskeyRequest(index: 0, cuff))
        #expect(typed.sent == [.passkeyReply(0, cuff, passkey: 123_456)])
        var asked = pairing(.keyboardOnly)
        asked.forget()
        asked.tell(.userPasskeyRequest(index: 0, cuff))
        #expect(asked.reports == [.pairing(.asks(.passkey))])
        asked.take(asked.machine.answer(.compared(isEqual: true), at: asked.now))
        #expect(asked.sent.isEmpty)
        asked.take(asked.machine.answer(.passkey(7), at: asked.now))
        #expect(asked.sent == [.passkeyReply(0, cuff, passkey: 7)])
    }

    @Test func comparison() {
        var kernel = pairing(.keyboardDisplay)
        kernel.forget()
        kernel.tell(.userConfirmRequest(index: 0, cuff, isHint: false, value: 42))
        #expect(kernel.reports == [.pairing(.asks(.compare(42)))])
        #expect(kernel.sent.isEmpty)
        kernel.take(kernel.machine.answer(.compared(isEqual: false), at: kernel.now))
        #expect(kernel.sent == [.confirmReply(0, cuff, accept: false)])
    }

    @Test func whoeverElseAsksIsRefused() throws {
        var kernel = pairing()
        kernel.forget()
        kernel.tell(.userConfirmRequest(index: 0, stranger, isHint: true, value: 0))
        kernel.tell(.userPasskeyRequest(index: 0, stranger))
        kernel.tell(.pinCodeRequest(index: 0, stranger, isSecure: false))
        #expect(
            kernel.sent == [
                .confirmReply(0, stranger, accept: false), .passkeyReply(0, stranger, passkey: nil),
                .pinReply(0, stranger, pin: nil),
            ])
        #expect(kernel.reports == Array(repeating: .pairingRefused(stranger), count: 3))
    }

    @Test func outsideTheWindowEverybodyIsRefused() throws {
        var kernel = ready([known()])
        kernel.forget()
        kernel.tell(.userConfirmRequest(index: 0, cuff, isHint: true, value: 0))
        #expect(kernel.sent == [.confirmReply(0, cuff, accept: false)])
        kernel.forget()
        // A pairing that got through nonetheless leaves nothing: the stored bond is loaded again.
        let ltk = try #require(keys().longTermKeys.first)
        kernel.tell(.newLongTermKey(index: 0, isStored: true, ltk))
        #expect(kernel.sent.first == .unpair(0, cuff, disconnect: true))
        #expect(kernel.sent.contains(.loadLongTermKeys(0, keys().longTermKeys)))
    }

    @Test func aFailedPairingLeavesTheOldBond() {
        var kernel = ready([known()])
        kernel.take(kernel.machine.pair(.init(address: cuff, ioCapability: .noInputNoOutput), at: kernel.now))
        kernel.forget()
        kernel.tell(
            .commandComplete(index: 0, opcode: ManagementOpcode.pair.rawValue, status: .authenticationFailed, parameters: []))
        #expect(kernel.reports.contains(.pairing(.failed(.refused(.authenticationFailed)))))
        #expect(kernel.sent.contains(.loadLongTermKeys(0, keys().longTermKeys)))
        #expect(kernel.sent.contains(.setBondable(0, false)))
        #expect(kernel.sent.contains(.addDevice(0, cuff, action: .autoConnect)))
    }

    @Test func theOthersWaitWhileOneIsPaired() throws {
        var kernel = ready([known()])
        kernel.forget()
        kernel.take(kernel.machine.pair(.init(address: stranger, ioCapability: .noInputNoOutput), at: kernel.now))
        #expect(kernel.sent.first == .addDevice(0, cuff, action: .scan))
        kernel.pass(.seconds(30))
        #expect(!kernel.sent.contains(.addDevice(0, cuff, action: .autoConnect)))
        kernel.take(kernel.machine.cancelPairing(at: kernel.now))
        #expect(kernel.sent.contains(.addDevice(0, cuff, action: .autoConnect)))
    }

    @Test func aPairingHasAnEnd() {
        var kernel = pairing()
        kernel.forget()
        kernel.pass(PairingWindowLimit.duration)
        #expect(kernel.reports.contains(.pairing(.failed(.timedOut))))
        #expect(kernel.sent.contains(.cancelPair(0, cuff)))
        #expect(kernel.machine.policy(for: cuff) == .refuse)
    }

    @Test(
        "a pairing that loses its adapter says so, and not that somebody cancelled it",
        arguments: AdapterLoss.allCases)
    func lostInTheMiddle(_ loss: AdapterLoss) {
        var kernel = pairing()
        kernel.forget()
        switch loss {
        case .power: kernel.tell(.newSettings(index: 0, [.lowEnergy]))
        case .pendingAnswer:
            // As the kernel does it: what it had not finished is answered first.
            kernel.tell(
                .commandComplete(index: 0, opcode: ManagementOpcode.pair.rawValue, status: .notPowered, parameters: []))
            kernel.tell(.newSettings(index: 0, [.lowEnergy]))
        case .removal:
            kernel.tell(
                .commandComplete(index: 0, opcode: ManagementOpcode.pair.rawValue, status: .invalidIndex, parameters: []))
        case .restart: kernel.start()
        }
        let failures = kernel.reports.compactMap { if case .pairing(.failed(let failure)) = $0 { failure } else { nil } }
        #expect(failures == [.adapterLost])
        #expect(kernel.machine.policy(for: cuff) == .refuse)
    }

    enum AdapterLoss: CaseIterable { case power, pendingAnswer, removal, restart }

    @Test func aPairingThatIsCancelledSaysSo() {
        var kernel = pairing()
        kernel.take(kernel.machine.cancelPairing(at: kernel.now))
        #expect(kernel.reports.contains(.pairing(.failed(.cancelled))))
        #expect(kernel.sent.contains(.cancelPair(0, cuff)))
    }

    @Test func withoutAKeyThereIsNoBond() {
        var kernel = pairing()
        kernel.tell(.commandComplete(index: 0, opcode: ManagementOpcode.pair.rawValue, status: .success, parameters: []))
        #expect(kernel.reports.last == .pairing(.failed(.noKey)))
    }

    // MARK: Looking around

    @Test func aLookIsRepeatedWhileWanted() {
        var kernel = ready()
        kernel.forget()
        kernel.take(kernel.machine.scan(true, at: kernel.now))
        #expect(kernel.sent == [.startDiscovery(0, .lowEnergy)])
        kernel.tell(.discovering(index: 0, .lowEnergy, isActive: true))
        kernel.tell(.deviceFound(index: 0, stranger, rssi: -60, flags: [], data: []))
        kernel.tell(.discovering(index: 0, .lowEnergy, isActive: false))
        #expect(kernel.reports.contains(.looked(heard: 1)))
        #expect(kernel.opcodes == [.startDiscovery, .startDiscovery])
        kernel.tell(.discovering(index: 0, .lowEnergy, isActive: true))
        kernel.take(kernel.machine.scan(false, at: kernel.now))
        #expect(kernel.opcodes.last == .stopDiscovery)
    }

    @Test func r10_aListedDeviceThatIsHeardAndNotConnectedToIsReported() {
        func look(_ heard: [(DeviceAddress, DeviceFoundFlags)], lasts: Duration = .seconds(10), rests: Bool = false)
            -> [AdapterMachine.Report]
        {
            var kernel = ready([known()])
            if rests { kernel.take(kernel.machine.hold(true, at: kernel.now)) }
            kernel.take(kernel.machine.scan(true, at: kernel.now))
            kernel.tell(.discovering(index: 0, .lowEnergy, isActive: true))
            for (address, flags) in heard { kernel.tell(.deviceFound(index: 0, address, rssi: -60, flags: flags, data: [])) }
            kernel.pass(lasts)
            kernel.forget()
            kernel.tell(.discovering(index: 0, .lowEnergy, isActive: false))
            return kernel.reports
        }
        #expect(look([(cuff, []), (stranger, [])]) == [.looked(heard: 2), .passedOver(cuff)])
        #expect(look([(stranger, [])]) == [.looked(heard: 1)])
        #expect(look([(cuff, .notConnectable)]) == [.looked(heard: 1)])
        #expect(look([(cuff, [])], lasts: .seconds(4)) == [.looked(heard: 1)], "its turn may be next")
        #expect(look([(cuff, [])], rests: true) == [.looked(heard: 1)], "nobody is to connect to it")
    }

    @Test func aClassicDeviceIsAskedForItsName() throws {
        let oximeter = try #require(DeviceAddress("00:1C:05:00:00:09/classic"))
        var kernel = ready()
        kernel.forget()
        kernel.tell(.deviceFound(index: 0, oximeter, rssi: -60, flags: [.confirmName], data: []))
        #expect(kernel.sent == [.confirmName(0, oximeter, isKnown: false)])
    }

    /// Any course of events and wishes: the machine stands still at last, and pairs nobody who was not chosen.
    @Test(arguments: 0..<20) func anyCourse(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var kernel = ready([known()])
        let ltk = try #require(keys().longTermKeys.first)
        for _ in 0..<500 {
            switch Int.random(in: 0..<14, using: &random) {
            case 0: kernel.take(kernel.machine.serve(Bool.random(using: &random) ? [known()] : [], at: kernel.now))
            case 1: kernel.take(kernel.machine.scan(Bool.random(using: &random), at: kernel.now))
            case 2: kernel.take(kernel.machine.pair(.init(address: cuff, ioCapability: .keyboardOnly), at: kernel.now))
            case 3: kernel.take(kernel.machine.answer(.passkey(1), at: kernel.now))
            case 4: kernel.tell(.newLongTermKey(index: 0, isStored: true, ltk))
            case 5:
                kernel.tell(.commandComplete(index: 0, opcode: ManagementOpcode.pair.rawValue, status: .success, parameters: []))
            case 6: kernel.tell(.deviceConnected(index: 0, Bool.random(using: &random) ? cuff : stranger, flags: 0, data: []))
            case 7:
                kernel.tell(.deviceDisconnected(index: 0, cuff, Bool.random(using: &random) ? .authenticationFailure : .remote))
            case 8:
                kernel.take(kernel.machine.sessionBegan(cuff, connection: kernel.machine.connection(of: cuff), at: kernel.now))
            case 9:
                kernel.take(kernel.machine.sessionEnded(cuff, connection: kernel.machine.connection(of: cuff), at: kernel.now))
            case 10: kernel.tell(.newSettings(index: 0, Bool.random(using: &random) ? [.powered, .lowEnergy] : [.lowEnergy]))
            case 11: kernel.start()
            case 12: kernel.tell(.userPasskeyRequest(index: 0, stranger))
            default: kernel.pass(.seconds(Int64.random(in: 0...40, using: &random)))
            }
        }
        #expect(!kernel.sent.contains { $0.opcode == .pair && $0 != .pair(0, cuff, .keyboardOnly) })
        #expect(!kernel.sent.contains { $0.opcode == .passkeyReply && !$0.parameters.starts(with: cuff.bytes) })
        kernel.forget()
        kernel.start()
        #expect(kernel.machine.isReady)
    }
}

/// 20 s to find it, 30 s for a person, 10 s for the keys: see PairingWindow.
enum PairingWindowLimit { static let duration = Duration.seconds(60) }

struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
