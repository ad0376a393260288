using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats.Tests;

/// <summary>A file system that cannot be read past its cache: it says so at once, or at a read; or one whose reads are short.</summary>
internal sealed unsafe class RefusingCalls : DirectCalls
{
    private int _reads;

    /// <summary>Whether opening is refused.</summary>
    public bool RefusesOpening { get; init; }

    /// <summary>How many times opening is refused for now, as for a lack of descriptors.</summary>
    public int RefusesOpeningForNow { get; init; }

    /// <summary>The read that is refused, counted from 1; 0 for none.</summary>
    public int RefusesRead { get; init; }

    /// <summary>The most that a read gives.</summary>
    public int Most { get; init; } = int.MaxValue;

    /// <summary>What the file system says of alignments, where it is not the one that the file really lies on.</summary>
    public DirectAlignment? Alignment { get; init; }

    /// <summary>Called before each read, with its number from 1.</summary>
    public Action<int>? OnRead { get; set; }

    /// <summary>The length of the longest read.</summary>
    public int Longest { get; private set; }

    public int Opened { get; private set; }

    /// <summary>The hints that were given, whether reads will be scattered.</summary>
    public List<bool> Hints { get; } = [];

    public int Reads => Volatile.Read(ref _reads);

    public override (SafeFileHandle Handle, DirectAlignment Alignment)? TryOpen(SafeFileHandle file, out bool isForGood)
    {
        isForGood = Opened >= RefusesOpeningForNow;
        return Opened++ < RefusesOpeningForNow || RefusesOpening ? null : base.TryOpen(file, out isForGood) is var (handle, alignment) ? (handle, Alignment ?? alignment) : null;
    }

    public override void Advise(SafeFileHandle file, bool areScattered)
    {
        Hints.Add(areScattered);
        base.Advise(file, areScattered);
    }

    public override int Read(SafeFileHandle handle, byte* destination, int length, long offset)
    {
        var number = Interlocked.Increment(ref _reads);
        Longest = Math.Max(Longest, length);
        OnRead?.Invoke(number);
        return number == RefusesRead ? -1 : Math.Min(Most, base.Read(handle, destination, length, offset));
    }
}
