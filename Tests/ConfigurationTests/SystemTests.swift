import Glibc
import Logging
import Testing
import Vitals

@testable import Gateway

@Suite struct SystemTests {
    @Test("R5 the machine's clocks are read together, and a voucher counts only while the kernel has no word of its own")
    func r5_machineClock() {
        let clock = MachineClock(zone: FixedZone(minutes: 60))
        let first = clock.now()
        #expect(first.offsetMinutes == 60)
        #expect(first.wall > Instant(seconds: 1_700_000_000))
        #expect(clock.now().monotonic >= first.monotonic)
        #expect(first.boot == clock.now().boot)
        #expect(!first.boot.rawValue.isEmpty)
        clock.vouch(.https, correction: .seconds(3_600))
        let vouched = clock.now()
        if first.source == .unsynchronised {
            #expect(vouched.source == .https)
            #expect(vouched.wall >= first.wall + .seconds(3_600))
        } else {
            #expect(vouched.source == .ntp)
            #expect(vouched.wall < first.wall + .seconds(3_600))
        }
        clock.vouch(nil)
        #expect(clock.now().source == first.source)
    }

    @Test(
        "R5 a scripted clock follows its file, keeps the last script when the file is broken, and never jumps its monotonic time")
    func r5_scriptedClock() throws {
        var template = Array("/tmp/vitalgate-clock-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        let path = directory + "/clock.toml"
        defer {
            unlink(path)
            rmdir(directory)
        }
        func write(_ text: String) throws {
            let stream = try #require(fopen(path, "w"))
            fputs(text, stream)
            fclose(stream)
        }
        let clock = ScriptedClock(path: path, zone: FixedZone(minutes: 0))
        #expect(clock.now().source == .unsynchronised)
        let machine = MachineClock().now()
        try write("offset_seconds = \(-machine.wall.milliseconds / 1_000)\nsource = \"unsynchronised\"\n")
        let unset = clock.now()
        #expect(unset.wall < Instant(seconds: 60))
        #expect(!unset.isSynchronised)
        try write("offset_seconds = 0\nsource = \"ntp\"\n")
        let set = clock.now()
        #expect(set.source == .ntp)
        #expect(set.wall >= machine.wall)
        #expect(set.monotonic - unset.monotonic < .seconds(60))
        try write("offset_seconds = ")
        #expect(clock.now().source == .ntp)
        try write("offset_seconds = 5\nsource = \"guess\"\n")
        #expect(clock.now().source == .ntp)
        unlink(path)
        #expect(clock.now().source == .ntp)
    }

    @Test(
        "libc's zone gives summer and winter their offsets",
        arguments: [("2026-01-15T12:00:00Z", 60), ("2026-07-15T12:00:00Z", 120), ("1969-07-15T12:00:00.500Z", 60)])
    func zone(_ moment: String, _ minutes: Int) async throws {
        // TZ is the process's: an exit test has a process of its own.
        let instant: Int64 = try #require(Instant(iso8601: moment)).milliseconds
        await #expect(processExitsWith: .success) { [instant = instant as Int64, minutes = minutes as Int] in
            setenv("TZ", "Europe/Copenhagen", 1)
            guard LibcZone().offsetMinutes(at: Instant(milliseconds: instant)) == minutes else { exit(1) }
        }
    }

    @Test("a system id is derived from the machine id, not equal to it, locally administered and no group")
    func systemID() throws {
        let id = try #require(HubIdentity.derived(from: "0123456789abcdef0123456789abcdef"))
        #expect(id.count == 8)
        #expect(id[0] & 0x03 == 0x02)
        #expect(id == HubIdentity.derived(from: "0123456789abcdef0123456789abcdef"))
        #expect(id != HubIdentity.derived(from: "0123456789abcdef0123456789abcdee"))
        #expect(!"0123456789abcdef0123456789abcdef".contains(id.hex))
        #expect(HubIdentity.derived(from: "") == nil)
        let instance = try #require(HubIdentity.instance(of: "0123456789abcdef0123456789abcdef"))
        #expect(instance.split(separator: "-").map(\.count) == [8, 4, 4, 4, 12])
        #expect(Array(instance)[14] == "8" && "89ab".contains(Array(instance)[19]))
    }

    @Test("R8 no core is dumped and no other process may look in")
    func r8_processProtection() async {
        await #expect(processExitsWith: .success) {
            guard ProcessProtection.engage() else { exit(1) }
            var limit = rlimit()
            guard getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit) == 0, limit.rlim_max == 0 else { exit(2) }
        }
    }

    @Test("systemd hears READY, STATUS on one line, WATCHDOG and STOPPING, and the watchdog's interval is read")
    func notifier() async {
        await #expect(processExitsWith: .success) {
            let socket = NotifySocket()
            setenv("NOTIFY_SOCKET", socket.path, 1)
            setenv("WATCHDOG_USEC", "60000000", 1)
            let notifier = SystemdNotifier()
            notifier.ready("3 waiting\nEXTEND_TIMEOUT_USEC=1")
            notifier.alive()
            notifier.stopping()
            guard socket.next() == "READY=1\nSTATUS=3 waiting EXTEND_TIMEOUT_USEC=1", socket.next() == "WATCHDOG=1",
                socket.next() == "STOPPING=1"
            else { exit(1) }
            guard notifier.watchdogInterval == .seconds(60) else { exit(2) }
            unsetenv("WATCHDOG_USEC")
            guard notifier.watchdogInterval == nil else { exit(3) }
            unlink(socket.path)
        }
    }
}

/// The service manager's end of sd_notify.
struct NotifySocket {
    let path = "/tmp/vitalgate-notify-\(getpid())"
    let descriptor: Int32

    init() {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        unlink(path)
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    func next() -> String {
        var buffer = [UInt8](repeating: 0, count: 512)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count < 0 ? "" : String(decoding: buffer[..<count], as: UTF8.self)
    }
}
