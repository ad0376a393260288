using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using IlgpuLoader.Formats;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Binds <see cref="HttpOptions"/> and says all that is wrong with them at once, each with its key.</summary>
/// <param name="section">The section; null for none.</param>
internal sealed class HttpOptionsReader(IConfigurationSection? section) : IConfigureOptions<HttpOptions>, IValidateOptions<HttpOptions>
{
    private readonly string _path = section?.Path ?? HttpOptions.SectionName;

    /// <summary>Reads the certificate with its key.</summary>
    public static X509Certificate2 ReadCertificate(HttpOptions options) => X509Certificate2.CreateFromPemFile(options.CertificateFile!, options.CertificateKeyFile);

    /// <inheritdoc/>
    public void Configure(HttpOptions options)
    {
        if (section is not null)
        {
            _ = SectionReader.Read(section, options);
        }
    }

    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, HttpOptions options)
    {
        // Read once more, for what is wrong: the options at hand have only what is right.
        var problems = section is null ? [] : SectionReader.Read(section, new HttpOptions()).ToList();
        foreach (var property in SectionReader.PropertiesOf(typeof(HttpOptions)))
        {
            if (property.GetCustomAttribute<RangeAttribute>() is { } range && !range.IsValid(property.GetValue(options)))
            {
                problems.Add($"{At(property.Name)}: {property.GetValue(options)} is not between {range.Minimum} and {range.Maximum}");
            }
        }

        _ = TokenFile.Read(options, out var tokenProblem);
        if (tokenProblem is not null)
        {
            problems.Add($"{At(options.TokenFile is null ? nameof(HttpOptions.Token) : nameof(HttpOptions.TokenFile))}: {tokenProblem}");
        }

        if (options.CertificateFile is not null)
        {
            ValidateCertificate(options, problems);
        }
        else if (options.CertificateKeyFile is not null)
        {
            problems.Add($"{At(nameof(HttpOptions.CertificateKeyFile))}: there is a key and no {nameof(HttpOptions.CertificateFile)}");
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private void ValidateCertificate(HttpOptions options, List<string> problems)
    {
        try
        {
            ReadCertificate(options).Dispose();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            problems.Add($"{At(nameof(HttpOptions.CertificateFile))}: the certificate or its key cannot be read: {Quoted.Plain(exception.Message)}");
        }
    }

    private string At(string key) => $"{_path}:{key}";
}
