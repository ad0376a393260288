using System.Text;
using IlgpuLoader.Formats.Pickle;
using IlgpuLoader.Formats.Torch;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Reads pickles under the default limits of PyTorch files, and holds what that takes against the bound for such files.</summary>
internal static class PickleReading
{
    public const string File = "data.pkl";
    public const string Format = "torch";
    public const long BaseOffset = 1000;

    // What a file may cost beyond its own size, which the pickle itself takes.
    private const long AllocationBound = 64L << 20;

    /// <summary>The bytes that the characters name; all below 256.</summary>
    public static byte[] Bytes(string characters)
    {
        Assert.All(characters, character => Assert.InRange(character, '\0', '\u00ff'));
        return Encoding.Latin1.GetBytes(characters);
    }

    /// <summary>Settings that admit the globals of module m, whose names say what they are.</summary>
    public static PickleSettings Settings(TorchLimits? limits = null, long otherBytes = 0, PickleRecorder? recorder = null) =>
        (limits ?? TorchLimits.Default).ForPickle(Verdict, File, Format, BaseOffset, otherBytes, recorder);

    /// <summary>The one value of a pickle that has nothing behind it.</summary>
    public static object Read(byte[] pickle, PickleSettings? settings = null)
    {
        var reader = new PickleReader(pickle, settings ?? Settings());
        var before = GC.GetAllocatedBytesForCurrentThread();
        var value = reader.Read();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocationBound);
        Assert.Equal(pickle.Length, reader.Position);
        return value;
    }

    public static string Shown(string characters, PickleSettings? settings = null) =>
        PickleGraph.Show(Read(Bytes(characters), settings));

    /// <summary>The exception that reading gives, within the bound.</summary>
    public static TException Refused<TException>(byte[] pickle, PickleSettings? settings = null)
        where TException : CheckpointException
    {
        settings ??= Settings();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var exception = Assert.Throws<TException>(() => { _ = new PickleReader(pickle, settings).Read(); });
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocationBound);
        Assert.Equal(File, exception.File);
        Assert.Equal(Format, exception.Format);
        Assert.InRange(exception.Message.Length, 30, 1000);
        return exception;
    }

    /// <summary>The rule that a pickle breaks at an opcode, which the message names.</summary>
    public static InvalidCheckpointException Invalid(string characters, string opcode, int offset)
    {
        var exception = Refused<InvalidCheckpointException>(Bytes(characters));
        Assert.Equal(CheckpointErrorCode.PickleInvalid, exception.Code);
        Assert.Equal(BaseOffset + offset, exception.Offset);
        Assert.Contains($"the pickle's {opcode} ", exception.Message, StringComparison.Ordinal);
        return exception;
    }

    private static PickleGlobalVerdict Verdict(string module, string name) => (module, name) switch
    {
        ("m", "function") => PickleGlobalVerdict.Allow(PickleGlobalKind.Function),
        ("m", "class") => PickleGlobalVerdict.Allow(PickleGlobalKind.Class),
        ("m", "dictionary") => PickleGlobalVerdict.Allow(PickleGlobalKind.Dictionary),
        ("m", "constant") => PickleGlobalVerdict.Allow(PickleGlobalKind.Constant),
        ("m", "unknown") => PickleGlobalVerdict.Allow(PickleGlobalKind.Unknown),
        _ => PickleGlobalVerdict.Refuse("It is not on the list of the test."),
    };
}
