using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary>Holds the token of a request against the configured one, of which only a hash is kept. Safe for any thread.</summary>
/// <param name="token">The configured token; null for none.</param>
internal sealed class TokenGuard(string? token)
{
    private const string Scheme = "Bearer ";

    private readonly byte[]? _expected = token is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes(token));

    /// <summary>Whether there is a token, without which nothing can be controlled.</summary>
    public bool IsConfigured => _expected is not null;

    /// <summary>Whether a request has the token. Hashes are compared, so that the time says neither how long the token is nor how far another is right.</summary>
    public bool Allows(HttpRequest request)
    {
        if (_expected is null || request.Headers.Authorization is not [{ } value] || !value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        Span<byte> given = stackalloc byte[SHA256.HashSizeInBytes];
        _ = SHA256.HashData(Encoding.UTF8.GetBytes(value[Scheme.Length..].Trim(' ')), given);
        return CryptographicOperations.FixedTimeEquals(given, _expected);
    }
}
