using System.Collections.Concurrent;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class PagePresenceTests
{
    private const long Piece = 2 << 20;

    [Theory]
    [InlineData(0, 1, 0, Piece)]
    [InlineData(Piece - 1, Piece, 0, Piece)]
    [InlineData(Piece - 1, Piece + 1, 0, 2 * Piece)]
    [InlineData(Piece, Piece + 1, Piece, Piece)]
    [InlineData(0, (3 * Piece) + 4096, 0, (3 * Piece) + 4096)]
    [InlineData((3 * Piece) + 1, (3 * Piece) + 2, 3 * Piece, 4096)]
    public void A_range_claims_the_whole_pieces_that_it_reaches_into(long start, long end, long offset, long length)
    {
        var presence = new PagePresence((3 * Piece) + 4096);
        var position = start;
        Assert.True(presence.TryClaim(ref position, end, out var claimed));
        Assert.Equal((offset, length), claimed);
        Assert.False(presence.TryClaim(ref position, end, out _));

        // Nor from the start again.
        Assert.False(presence.TryClaim(ref start, end, out _));
    }

    [Fact]
    public void Ten_thousand_small_ranges_of_a_block_claim_each_piece_once()
    {
        const long bytes = 10_000 * 4096;
        var presence = new PagePresence(bytes);
        var claims = new List<(long Offset, long Length)>();
        for (long start = 0; start < bytes; start += 4096)
        {
            Assert.False(presence.IsComplete && start <= (bytes - 1) / Piece * Piece);
            claims.AddRange(ClaimAll(presence, start, start + 4096));
        }

        Assert.Equal((bytes + Piece - 1) / Piece, claims.Count);
        Assert.Equal(bytes, claims.Sum(claim => claim.Length));
        Assert.True(presence.IsComplete);
    }

    [Fact]
    public void Pieces_that_others_have_claimed_are_left_out_of_a_range()
    {
        var presence = new PagePresence(200 * Piece);
        Assert.Single(ClaimAll(presence, 70 * Piece, 71 * Piece));
        Assert.Single(ClaimAll(presence, 130 * Piece, 140 * Piece));
        Assert.Equal(
            [(0, 70 * Piece), (71 * Piece, 59 * Piece), (140 * Piece, 60 * Piece)],
            ClaimAll(presence, 0, 200 * Piece));
        Assert.True(presence.IsComplete);
    }

    [Fact]
    public void What_is_claimed_is_counted_and_never_too_much()
    {
        var presence = new PagePresence((2 * Piece) + 10);
        Assert.Equal(0, presence.ClaimedBytes);
        ClaimAll(presence, 0, 1);
        Assert.Equal(10, presence.ClaimedBytes);
        ClaimAll(presence, 2 * Piece, (2 * Piece) + 1);
        Assert.Equal(Piece + 10, presence.ClaimedBytes);
        presence.Complete();
        Assert.Equal(((2 * Piece) + 10, true), (presence.ClaimedBytes, presence.IsComplete));
    }

    [Fact]
    public void Threads_side_by_side_claim_every_byte_exactly_once() =>
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var bytes = random.NextInt64(1, 300 * Piece);
            var ranges = Enumerable.Range(0, 40).Select(_ =>
            {
                var start = random.NextInt64(bytes);
                return (Start: start, End: random.NextInt64(start + 1, bytes + 1));
            }).Append((Start: 0, End: bytes)).ToArray();
            var presence = new PagePresence(bytes);
            var claims = new ConcurrentBag<(long Offset, long Length)>();
            Parallel.ForEach(ranges, new ParallelOptions { MaxDegreeOfParallelism = 4 }, range =>
            {
                foreach (var claim in ClaimAll(presence, range.Start, range.End))
                {
                    claims.Add(claim);
                }
            });

            var end = 0L;
            foreach (var (offset, length) in claims.Order())
            {
                Assert.Equal((end, 0L), (offset, offset % Piece));
                end = offset + length;
            }

            Assert.Equal((bytes, bytes, true), (end, presence.ClaimedBytes, presence.IsComplete));
        }).QuickCheckThrowOnFailure();

    private static List<(long Offset, long Length)> ClaimAll(PagePresence presence, long start, long end)
    {
        var claims = new List<(long Offset, long Length)>();
        while (presence.TryClaim(ref start, end, out var claimed))
        {
            claims.Add(claimed);
        }

        return claims;
    }
}
