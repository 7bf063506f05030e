import Bluetooth
import Catalogue
import HubAPI
import Protocols
import Testing
import Vitals

@testable import Gateway

/// What a technician is told and what the radio is asked for, step by step.
@Suite struct ProcedureTests {
    let catalogue: DeviceCatalogue
    let cuff: DeviceAddress
    let start = MonotonicTime(milliseconds: 5_000)
    let keys: BondKeys

    init() throws {
        catalogue = try DeviceCatalogue.loadOrExplain(nil)
        cuff = try #require(DeviceAddress("F0:0D:00:00:00:01/random"))
        let key = try #require(Key128(Array(repeating: 1, count: 16)))
        keys = BondKeys(
            longTermKeys: [LongTermKey(address: cuff, keyType: .authenticatedP256, isCentral: false, value: key)])
    }

    /// Flags, the Blood Pressure service and a name, as a cuff advertises them.
    private func heard(_ name: String? = "A&D_UA-651BLE_0123AB", services: [UInt8] = [0x10, 0x18]) -> ProcedureEvent {
        var data: [UInt8] = [2, 1, 6]
        if !services.isEmpty { data += [UInt8(services.count + 1), 3] + services }
        if let name { data += [UInt8(name.utf8.count + 1), 9] + Array(name.utf8) }
        return .heard(
            Advertiser(
                address: cuff, rssi: -50, isConnectable: true, advertising: AdvertisingData(parsing: data), catalogue: catalogue))
    }

    private func names(_ effects: [ProcedureEffect]) -> [String] {
        effects.map { effect in
            switch effect {
            case .step(let step): step.name
            case .ask(let step): "ask " + step.name
            case .scan(let isWanted): "scan \(isWanted)"
            case .pair(let plan, let model): "pair \(plan.address) \(plan.ioCapability) as \(model.id)"
            case .answer: "answer"
            case .cancelPairing: "cancel"
            case .store(let address, _, let model): "store \(address) as \(model.id)"
            case .hangUp: "hang up"
            case .prove: "prove"
            case .finish: "finish"
            case .fail(let error): "fail \(error.exitCode)"
            }
        }
    }

    private func pairing(
        _ wanted: String? = nil, model: String? = nil, passkey: UInt32? = nil
    ) -> PairingProcedure {
        PairingProcedure(
            wanted: wanted ?? cuff.text.lowercased(), model: model.flatMap { catalogue[$0] }, passkey: passkey, pin: nil)
    }

    @Test func fromFoundToDone() throws {
        var procedure = pairing()
        #expect(names(procedure.start(at: start)) == ["looking", "scan true"])
        #expect(
            names(procedure.receive(heard(), at: start)) == [
                "found", "scan false", "pair \(cuff) \(IOCapability.noInputNoOutput) as and-ua-651ble",
            ])
        #expect(names(procedure.receive(.pairing(.started(cuff)), at: start)) == ["connecting"])
        let stored = procedure.receive(.pairing(.store(identity: cuff, keys)), at: start)
        #expect(names(stored) == ["store \(cuff) as and-ua-651ble"])
        let paired = procedure.receive(.stored(.success(StoredDevice(id: 3, name: "cuff"))), at: start)
        #expect(names(paired) == ["paired"])
        guard case .step(let step) = paired.first else { throw Missing() }
        #expect(step.json["security"]?.string == "authenticated")
        #expect(names(procedure.receive(.device(.identified), at: start)) == ["identity"])
        #expect(names(procedure.receive(.device(.clockSet), at: start)) == ["clock-set"])
        let done = procedure.receive(.device(.ended(readings: 0, reason: "peer-ended")), at: start)
        #expect(names(done) == ["done", "finish"])
        guard case .step(let last) = done.first else { throw Missing() }
        #expect(last.message.contains("vitalgate devices verify cuff"))
    }

    struct Missing: Error {}

    @Test func byNameByAddressOrByAddressWithItsKind() {
        for wanted in ["A&D_UA-651BLE_0123AB", "f0:0d:00:00:00:01", "F0:0D:00:00:00:01/RANDOM"] {
            var procedure = pairing(wanted)
            _ = procedure.start(at: start)
            #expect(names(procedure.receive(heard(), at: start)).first == "found", "\(wanted)")
        }
        for wanted in ["A&D_UA-651BLE", "F0:0D:00:00:00:01/public", "F0:0D:00:00:00:02"] {
            var procedure = pairing(wanted)
            _ = procedure.start(at: start)
            #expect(procedure.receive(heard(), at: start).isEmpty, "\(wanted)")
        }
    }

    @Test func whatToPressIsSaidAfterThreeSecondsAndOnce() {
        var procedure = pairing(model: "and-ua-651ble")
        _ = procedure.start(at: start)
        #expect(procedure.receive(.tick, at: start + .milliseconds(2_999)).isEmpty)
        let hint = procedure.receive(.tick, at: start + .seconds(3))
        #expect(names(hint) == ["press"])
        if case .step(let step) = hint.first { #expect(step.message == catalogue["and-ua-651ble"]?.pairing.instructions) }
        #expect(procedure.receive(.tick, at: start + .seconds(4)).isEmpty)
        #expect(names(procedure.receive(.tick, at: start + .seconds(60))) == ["scan false", "fail 75"])
    }

    @Test func withoutAnEntryThereIsNoPairing() {
        var procedure = pairing()
        _ = procedure.start(at: start)
        #expect(names(procedure.receive(heard("Lamp", services: []), at: start)) == ["scan false", "fail 65"])
        var named = pairing(model: "generic-blood-pressure")
        _ = named.start(at: start)
        #expect(names(named.receive(heard("Lamp", services: []), at: start)).first == "found")
    }

    @Test func digitsAreAskedForUntilTheyAreDigits() {
        var procedure = pairing()
        _ = procedure.start(at: start)
        _ = procedure.receive(heard(), at: start)
        #expect(names(procedure.receive(.pairing(.asks(.passkey)), at: start)) == ["ask passkey-wanted"])
        for wrong in ["", "12345678", "abc", "-1"] {
            #expect(names(procedure.receive(.answered(wrong), at: start)) == ["ask passkey-wanted"], "\(wrong)")
        }
        #expect(names(procedure.receive(.answered("000123"), at: start)) == ["answer"])
        // An answer that nobody asked for does nothing.
        #expect(procedure.receive(.answered("000123"), at: start).isEmpty)
    }

    @Test func answers() {
        #expect(PairingWindow.Question.passkey.answer("000123") == .passkey(123))
        #expect(PairingWindow.Question.passkey.answer("1000000") == nil)
        #expect(PairingWindow.Question.compare(7).answer("Yes") == .compared(isEqual: true))
        #expect(PairingWindow.Question.compare(7).answer("n") == .compared(isEqual: false))
        #expect(PairingWindow.Question.compare(7).answer("maybe") == nil)
        #expect(PairingWindow.Question.pin.answer("0000") == .pin(Array("0000".utf8)))
        #expect(PairingWindow.Question.pin.answer(String(repeating: "1", count: 17)) == nil)
        #expect(PairingWindow.Question.sixDigits(42) == "000042")
        #expect(PairingWindow.Question.compare(42).step(nil).json["value"]?.string == "000042")
    }

    @Test func aBondThatIsNotDurableIsNone() {
        var procedure = pairing()
        _ = procedure.start(at: start)
        _ = procedure.receive(heard(), at: start)
        _ = procedure.receive(.pairing(.store(identity: cuff, keys)), at: start)
        let error = OperationError("what", why: "why", remedy: "do", exitCode: 73)
        #expect(names(procedure.receive(.stored(.failure(error)), at: start)) == ["fail 73"])
        #expect(procedure.receive(.tick, at: start + .seconds(600)).isEmpty)
    }

    @Test func everyFailureSaysWhatToDo() throws {
        let model = try #require(catalogue["and-ua-651ble"])
        for failure: PairingWindow.Failure in [
            .refused(.authenticationFailed), .refused(.connectFailed), .timedOut, .noKey, .cancelled,
            .adapterLost,
        ] {
            var procedure = pairing()
            _ = procedure.start(at: start)
            _ = procedure.receive(heard(), at: start)
            #expect(names(procedure.receive(.pairing(.failed(failure)), at: start)).first?.hasPrefix("fail") == true)
            #expect(!failure.error(model).remedy.isEmpty)
        }
    }

    @Test("a pairing that lost its adapter ends with 69 and names the adapter")
    func lostAdapter() throws {
        let error = PairingWindow.Failure.adapterLost.error(try #require(catalogue["and-ua-651ble"]))
        #expect(error.exitCode == 69)
        #expect(error.why.contains("adapter was lost"))
        #expect(error.remedy.contains("vitalgate doctor"))
        #expect(!OperationError.cancelled.why.contains("adapter"))
    }

    @Test func aStrangersNameMovesNoCursor() {
        var scan = ScanProcedure(seconds: 5, showsAll: true)
        _ = scan.start(at: start)
        let effects = scan.receive(heard("\u{1B}[2Jcuff\u{202E}", services: []), at: start)
        guard case .step(let step)? = effects.first else {
            Issue.record("no step")
            return
        }
        #expect(step.message.hasSuffix("?[2Jcuff?"))
    }

    @Test func withoutAnAdapterEverythingEnds() {
        var pairing = pairing()
        _ = pairing.start(at: start)
        #expect(names(pairing.receive(.adapterLost, at: start)) == ["fail 69"])
        var scan = ScanProcedure(seconds: 5, showsAll: true)
        _ = scan.start(at: start)
        #expect(names(scan.receive(.adapterLost, at: start)) == ["fail 69"])
    }

    @Test func aScanTellsEachDeviceOnceAndAgainWithItsName() {
        var scan = ScanProcedure(seconds: 5, showsAll: true)
        #expect(names(scan.start(at: start)) == ["looking", "scan true"])
        #expect(names(scan.receive(heard(nil), at: start)) == ["device"])
        #expect(scan.receive(heard(nil), at: start).isEmpty)
        let again = scan.receive(heard(), at: start)
        #expect(names(again) == ["device"])
        if case .step(let step) = again.first {
            #expect(step.json["model"]?.string == "and-ua-651ble")
            #expect(step.json["type"]?.string == "random")
            #expect(step.json["services"]?.array?.first?.string == "1810")
        }
        #expect(scan.receive(heard(), at: start).isEmpty)
        #expect(names(scan.receive(.tick, at: start + .seconds(5))) == ["scan false", "done", "finish"])
    }

    @Test func strangersAreCountedAndShownOnDemand() {
        var scan = ScanProcedure(seconds: 5, showsAll: false)
        _ = scan.start(at: start)
        #expect(scan.receive(heard("Lamp", services: []), at: start).isEmpty)
        let end = scan.receive(.tick, at: start + .seconds(5))
        if case .step(let step) = end.dropFirst().first {
            #expect(step.json["count"]?.integer == 0)
            #expect(step.json["others"]?.integer == 1)
            #expect(step.message.contains("--all"))
        } else {
            Issue.record("no closing step")
        }
    }

    // MARK: The proof

    private func verification(isConnected: Bool) throws -> VerificationProcedure {
        VerificationProcedure(
            device: StoredDevice(id: 3, name: "cuff"), model: try #require(catalogue["and-ua-651ble"]), seconds: 60,
            isConnected: isConnected)
    }

    @Test func r4_onlyAReturnProves() throws {
        var procedure = try verification(isConnected: true)
        #expect(names(procedure.start(at: start)) == ["press", "hang up"])
        // What the link of the pairing still brings proves nothing.
        #expect(procedure.receive(.device(.subscribed), at: start).isEmpty)
        #expect(procedure.receive(.device(.reading), at: start).isEmpty)
        #expect(names(procedure.receive(.device(.ended(readings: 1, reason: "x")), at: start)) == ["gone"])
        #expect(names(procedure.receive(.device(.connected(.encrypted)), at: start)) == ["connected"])
        #expect(names(procedure.receive(.device(.subscribed), at: start)) == ["prove", "verified", "finish"])
    }

    @Test func aLinkThatCouldNotBeUsedProvesNothing() throws {
        var procedure = try verification(isConnected: false)
        #expect(names(procedure.start(at: start)) == ["press"])
        _ = procedure.receive(.device(.connected(.encrypted)), at: start)
        #expect(names(procedure.receive(.device(.ended(readings: 0, reason: "link-lost")), at: start)) == ["gone"])
        #expect(names(procedure.receive(.device(.keyRefused), at: start)) == ["key-refused"])
        #expect(names(procedure.receive(.device(.bondLost), at: start)) == ["fail 1"])
    }

    @Test func aDeviceThatStaysAwayIsNotVerified() throws {
        var procedure = try verification(isConnected: false)
        _ = procedure.start(at: start)
        #expect(procedure.receive(.tick, at: start + .seconds(59)).isEmpty)
        #expect(names(procedure.receive(.tick, at: start + .seconds(60))) == ["fail 75"])
    }
}
