import Testing

@testable import Gateway

@Suite struct StartUpCodeTests {
    @Test("only code of files is given back: nothing that may have been written to, and nothing of the kernel's")
    func regions() {
        let maps = """
            55a000000000-55a000001000 r--p 00000000 fd:00 12 /usr/bin/vitalgate
            55a000001000-55a000003000 r-xp 00001000 fd:00 12 /usr/bin/vitalgate
            55a000003000-55a000004000 rw-p 00003000 fd:00 12 /usr/bin/vitalgate
            7f0000000000-7f0000002000 rwxp 00000000 fd:00 13 /usr/lib/x86_64-linux-gnu/odd.so
            7f0000003000-7f0000004000 r-xp 00000000 00:00 0
            7f0000005000-7f0000006000 r-xp 00002000 fd:00 14 /a folder/with blanks.so
            7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                  [vdso]
            no line
            """
        #expect(StartUpCode.regions(maps: maps) == [0x55a0_0000_1000..<0x55a0_0000_3000, 0x7f00_0000_5000..<0x7f00_0000_6000])
    }

    @Test("the process goes on after its own code was given back")
    func released() {
        StartUpCode.release()
        #expect(StartUpCode.regions(maps: "") == [])
    }
}
