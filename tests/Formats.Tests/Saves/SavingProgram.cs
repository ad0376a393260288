using System.Diagnostics;
using System.Globalization;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>This assembly as a process of its own, which saves ranks of a state and may kill itself at one moment of that.</summary>
internal static class SavingProgram
{
    /// <summary>The sizes of the files: the pieces of one are moments of their own.</summary>
    public const int Pieces = 16;

    private const int PieceBytes = 4096;

    /// <summary>The size of each file.</summary>
    public const int Length = Pieces * PieceBytes;

    /// <summary>How many files each rank has.</summary>
    public const int Parts = 2;

    /// <summary>Starts a save.</summary>
    /// <param name="target">The folder.</param>
    /// <param name="id">The identifier.</param>
    /// <param name="first">The first rank that the process saves.</param>
    /// <param name="count">How many ranks it saves, one after the other.</param>
    /// <param name="worldSize">How many there are.</param>
    /// <param name="moment">The moment of <see cref="KillingCalls"/>.</param>
    /// <param name="piece">The piece, counted over all files, after which it kills itself; negative for none.</param>
    /// <param name="refuseExchange">Whether names cannot be exchanged there.</param>
    public static Process Start(string target, string id, int first, int count, int worldSize, int moment = -1, int piece = -1, bool refuseExchange = false) =>
        OwnProgram.Start(typeof(SavingProgram).Assembly, target, id, first, count, worldSize, moment, piece, refuseExchange ? 1 : 0);

    /// <summary>Prints the number of the moments before the last rank's commit, and of all.</summary>
    public static async Task<int> Main(string[] args)
    {
        var (target, id) = (args[0], args[1]);
        var numbers = args.Skip(2).Select(text => int.Parse(text, CultureInfo.InvariantCulture)).ToArray();
        var (first, count, worldSize, piece) = (numbers[0], numbers[1], numbers[2], numbers[4]);
        var calls = new KillingCalls(numbers[3], numbers[5] == 1);
        var beforeCommit = 0;
        for (var rank = first; rank < first + count; rank++)
        {
            await using var folder = await JoinedFolder.JoinAsync(target, id, rank, worldSize, overwrite: true, calls, default);
            for (var part = 0; part < Parts; part++)
            {
                var content = Share.Content(id, rank, part, Length);
                await using var file = folder.CreateFile(Share.Name(rank, part), Length);
                for (var offset = 0; offset < Length; offset += PieceBytes)
                {
                    await file.WriteAsync(offset, content.AsMemory(offset, PieceBytes));
                    if (piece-- == 0)
                    {
                        OwnProgram.Kill();
                    }
                }

                await file.CommitAsync();
            }

            // The record's own calls are six; the lock for the commit comes after them.
            beforeCommit = calls.Moments + 12;
            await Share.FinishAsync(folder, id, rank, worldSize, Parts, Length);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{beforeCommit} {calls.Moments}"));
        return 0;
    }
}
