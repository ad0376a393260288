using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

/// <summary>The line protocol, with scripts that play peers.</summary>
public sealed class PeerTests
{
    private const string Shell = "/bin/sh";

    [LinuxFact]
    public async Task A_peer_that_is_ready_gives_seconds_for_each_path()
    {
        using var peer = Start("echo 'ready fake 1.0'; while read -r path; do echo \"0.${#path}\"; done");
        Assert.Equal(("fake, fake 1.0", null), (peer.Name, peer.Missing));
        Assert.Equal((0.3, 0.5), (peer.Load("abc"), peer.Load("abcde")));
        var contestant = peer.Loading("ab", 3);
        Assert.Equal((null, 3.0), (contestant.Skipped, contestant.Target));
        Assert.Equal(0.2, await contestant.Measure(CancellationToken.None));
    }

    [LinuxTheory]
    [InlineData("echo 'skip no such package'", "no such package")]
    [InlineData("echo nonsense", "it did not start and said: nonsense")]
    [InlineData("true", "it did not start and said: ")]
    public void A_peer_that_is_not_there_is_left_out_with_its_reason(string script, string reason)
    {
        using var peer = Start(script);
        Assert.Equal(reason, peer.Missing);
        Assert.Equal(reason, peer.Loading("a").Skipped);
    }

    [LinuxTheory]
    [InlineData("echo 'skip no such format'", "no such format")]
    [InlineData("echo nonsense", "it said: nonsense")]
    [InlineData("exit", "it ended")]
    public void A_peer_that_cannot_load_a_file_is_left_out_with_its_reason(string answer, string reason)
    {
        using var peer = Start($"echo 'ready fake'; while read -r path; do {answer}; done");
        Assert.Equal(reason, peer.Loading("a").Skipped);
    }

    [LinuxFact]
    public void A_peer_that_fails_later_ends_the_measurement()
    {
        using var peer = Start("echo 'ready fake'; read -r path; echo 1; read -r path; echo 'skip out of memory'; cat >/dev/null");
        Assert.Equal(1, peer.Load("a"));
        var exception = Assert.Throws<InvalidOperationException>(() => peer.Load("b"));
        Assert.Equal("fake, fake failed with b: out of memory", exception.Message);
    }

    [Fact]
    public void A_missing_interpreter_is_a_reason()
    {
        using var peer = Peer.Start("fake", "/none/python3", "script.py");
        Assert.Equal("there is no /none/python3", peer.Missing);
    }

    [PythonNumpyFact]
    public void NumPys_script_loads_what_is_there_and_says_why_it_does_not()
    {
        using var peer = PeerScripts.NumpyLoad("numpy.fromfile", "raw");
        Assert.Null(peer.Missing);
        Assert.True(peer.Load(Environment.ProcessPath!) > 0);
        Assert.Contains("FileNotFoundError", peer.Loading("/none").Skipped!, StringComparison.Ordinal);
    }

    private static Peer Start(string script) => Peer.Start("fake", Shell, "-c", script);
}
